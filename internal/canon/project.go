package canon

// Project says of which project's file a request is a task, and what became of that
// file since a person approved it.
type Project struct {
	File   string   `json:"file"` // its path, as the caller's CLI reports it
	Task   string   `json:"task"`
	Hash   Hash     `json:"hash"`           // of its bytes; see ProjectDigest
	Before Hash     `json:"before"`         // of those approved last in this session at that path, as far as is known; zero is none
	Diff   []string `json:"diff,omitempty"` // from those to these
}

// ProjectDigest hashes a project's file.
func ProjectDigest(text []byte) Hash { return Digest(DomainProject, text) }

// Changed reports whether another file was approved before.
func (p *Project) Changed() bool { return p.Before != (Hash{}) && p.Before != p.Hash }

// Hidden reports whether more changed than a person is shown: then nothing may be
// approved.
func (p *Project) Hidden() bool { return p != nil && p.Changed() && len(p.Diff) == 0 }

// whole refuses what would have a person approve a change unseen, or see one that
// there is not.
func (p *Project) whole() bool {
	return p.File != "" && p.Task != "" && p.Hash != (Hash{}) && p.Changed() == (len(p.Diff) > 0)
}

// words is what the daemon itself says of the file.
func (p *Project) words() string {
	s := ShortCode(p.Hash) + "  (digest " + p.Hash.String() + "), "
	switch {
	case p.Before == Hash{}:
		return s + "none at its path is known as approved before in this session"
	case !p.Changed():
		return s + "as approved before in this session, which gives this task nothing now"
	case p.Hidden():
		return s + "CHANGED since " + ShortCode(p.Before) + " was approved in this session, by more than can be shown"
	}
	return s + "CHANGED since " + ShortCode(p.Before) + " was approved in this session; all that changed is shown"
}
