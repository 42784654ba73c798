package api

// GrantCreate asks for a grant: leave for an unattended job, pinned to a program
// and a place. Its end is Life after the request, or Until.
type GrantCreate struct {
	Ask
	Name    string   `json:"name"`
	Refs    []string `json:"refs"`
	Program Program  `json:"program"`
	Task    string   `json:"task,omitempty"`  // of the project's file, whose command Program is
	Agent   bool     `json:"agent,omitempty"` // the program is a known agent
	Life    int64    `json:"life_ms,omitempty"`
	Until   int64    `json:"until,omitempty"` // unix milliseconds
	Uses    int64    `json:"uses,omitempty"`  // 0 is any number
}

// Grant describes a grant. What it pins is shown to persons only.
type Grant struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	State   string   `json:"state"` // live, expired, used up, revoked
	Created int64    `json:"created"`
	Until   int64    `json:"until"`
	Uses    int64    `json:"uses"` // 0 is any number
	Refs    []string `json:"refs,omitempty"`
	Program *Program `json:"program,omitempty"` // Argv as it may be shown
	UID     *int     `json:"uid,omitempty"`
}

// GrantList filters a list of grants: those not revoked, or all.
type GrantList struct {
	All bool `json:"all,omitempty"`
}

// GrantName names a grant, by name or id.
type GrantName struct {
	Name string `json:"name"`
}
