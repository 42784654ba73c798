package winhello

// The structures of webauthn.h that are passed, for the 64-bit systems that we build
// for. What the system reads holds pointers, so that the memory stays; what it gives
// back holds addresses, which are read with care and then given back.

const (
	clientDataVersion = 1
	credentialVersion = 1
	optionsVersion    = 4 // of the first webauthn.dll already; later members are left out
	platform          = 1 // WEBAUTHN_AUTHENTICATOR_ATTACHMENT_PLATFORM
	verified          = 1 // WEBAUTHN_USER_VERIFICATION_REQUIREMENT_REQUIRED
	internalTransport = 0x10
)

// guid names a question while it is asked.
type guid [16]byte

// signed is WEBAUTHN_CLIENT_DATA.
type signed struct {
	Version uint32
	Size    uint32
	JSON    *byte
	Hash    *uint16 // "SHA-256"
}

// credential is WEBAUTHN_CREDENTIAL_EX.
type credential struct {
	Version    uint32
	Size       uint32
	ID         *byte
	Kind       *uint16 // "public-key"
	Transports uint32
	_          uint32
}

// credentials is WEBAUTHN_CREDENTIAL_LIST.
type credentials struct {
	Count uint32
	_     uint32
	List  **credential
}

// counted is WEBAUTHN_CREDENTIALS and WEBAUTHN_EXTENSIONS, both of which stay empty.
type counted struct {
	Count uint32
	_     uint32
	List  uintptr
}

// options is WEBAUTHN_AUTHENTICATOR_GET_ASSERTION_OPTIONS, version 4.
type options struct {
	Version     uint32
	Timeout     uint32 // milliseconds
	Credentials counted
	Extensions  counted
	Attachment  uint32
	Verify      uint32
	Flags       uint32
	_           uint32
	AppID       uintptr
	UsedAppID   uintptr
	Cancel      *guid
	Allow       *credentials
}

// assertion is WEBAUTHN_ASSERTION, version 1.
type assertion struct {
	Version           uint32
	AuthenticatorSize uint32
	Authenticator     uintptr
	SignatureSize     uint32
	_                 uint32
	Signature         uintptr
	Credential        struct { // WEBAUTHN_CREDENTIAL
		Version uint32
		Size    uint32
		ID      uintptr
		Kind    uintptr
	}
	UserSize uint32
	_        uint32
	User     uintptr
}

// asked is a question as the system reads it.
type asked struct {
	data  []byte
	about *signed
	how   *options
}

// ask lays a question out. text makes a string of the system's.
func ask(q Question, cancel *guid, text func(string) *uint16) (asked, error) {
	if err := bounds(q); err != nil {
		return asked{}, err
	}
	data, err := clientData(q)
	if err != nil {
		return asked{}, err
	}
	kind := text("public-key")
	list := make([]*credential, len(q.Credentials))
	for i, id := range q.Credentials {
		list[i] = &credential{Version: credentialVersion, Size: uint32(len(id)), ID: &id[0], Kind: kind, Transports: internalTransport}
	}
	return asked{data: data,
		about: &signed{Version: clientDataVersion, Size: uint32(len(data)), JSON: &data[0], Hash: text("SHA-256")},
		how: &options{Version: optionsVersion, Timeout: uint32(Patience.Milliseconds()), Attachment: platform, Verify: verified, Cancel: cancel,
			Allow: &credentials{Count: uint32(len(list)), List: &list[0]}}}, nil
}

// answer reads what the system gave; read copies so much from an address.
func (a *assertion) answer(data []byte, read func(at uintptr, size uint32) ([]byte, error)) (Answer, error) {
	out := Answer{ClientData: data}
	for _, part := range []struct {
		to   *[]byte
		at   uintptr
		size uint32
		max  uint32
	}{{&out.AuthenticatorData, a.Authenticator, a.AuthenticatorSize, maxPart}, {&out.Signature, a.Signature, a.SignatureSize, maxPart},
		{&out.Credential, a.Credential.ID, a.Credential.Size, maxID}} {
		if part.at == 0 || part.size == 0 || part.size > part.max {
			return Answer{}, result(1) // a result that nobody knows
		}
		var err error
		if *part.to, err = read(part.at, part.size); err != nil {
			return Answer{}, result(1)
		}
	}
	return out, nil
}
