package item

import "strings"

// categories lists the kinds of items in JSON's spelling.
func categories() []string {
	return strings.Fields(`API_CREDENTIAL BANK_ACCOUNT CREDIT_CARD CRYPTO_WALLET DATABASE DOCUMENT
		DRIVER_LICENSE EMAIL_ACCOUNT IDENTITY LOGIN MEDICAL_RECORD MEMBERSHIP OUTDOOR_LICENSE PASSPORT PASSWORD
		REWARD_PROGRAM SECURE_NOTE SERVER SOCIAL_SECURITY_NUMBER SOFTWARE_LICENSE SSH_KEY WIRELESS_ROUTER`)
}

// categoryID turns a category as typed ("API Credential", "apicredential") into
// the form of JSON ("API_CREDENTIAL"). An unknown one is passed on in that form.
func categoryID(s string) string {
	fold := func(s string) string {
		return strings.NewReplacer(" ", "", "_", "", "-", "").Replace(strings.ToLower(s))
	}
	for _, c := range categories() {
		if fold(c) == fold(s) {
			return c
		}
	}
	return strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(s)), " ", "_")
}

// categoryName is a category as people write it.
func categoryName(id string) string {
	words := strings.Split(strings.ToLower(id), "_")
	for i, w := range words {
		switch w {
		case "api", "ssh":
			words[i] = strings.ToUpper(w)
		default:
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, " ")
}
