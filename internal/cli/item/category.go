package item

import "strings"

// categoryID turns a category as typed ("API Credential", "apicredential") into
// the form of JSON ("API_CREDENTIAL"). An unknown one is passed on in that form,
// for the daemon to refuse.
func categoryID(s string) string {
	fold := func(s string) string {
		return strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.ToLower(s))
	}
	for _, c := range strings.Fields(`API_CREDENTIAL BANK_ACCOUNT CREDIT_CARD CRYPTO_WALLET DATABASE DOCUMENT
		DRIVER_LICENSE EMAIL_ACCOUNT IDENTITY LOGIN MEDICAL_RECORD MEMBERSHIP OUTDOOR_LICENSE PASSPORT PASSWORD
		REWARD_PROGRAM SECURE_NOTE SERVER SOCIAL_SECURITY_NUMBER SOFTWARE_LICENSE SSH_KEY WIRELESS_ROUTER`) {
		if fold(c) == fold(s) {
			return c
		}
	}
	return strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(s)), " ", "_")
}
