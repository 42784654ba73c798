package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cedar-policy/cedar-go"
	xast "github.com/cedar-policy/cedar-go/x/exp/ast"
	"github.com/cedar-policy/cedar-go/x/exp/schema"
	"github.com/cedar-policy/cedar-go/x/exp/schema/validate"
)

// This file is the only one that uses the x/exp packages of cedar-go, which
// promise no stability.

// schemaText is the closed world that a rule may speak of. Every attribute is
// always there, so that a rule never fails for want of one. The tier of a vault
// is two booleans, because a misspelt attribute is found and a misspelt text is
// not; where no vault is concerned both are false. The grade is the action.
const schemaText = `
entity Person, Agent, Service = { label: String, session: Bool, foreground: Bool, direct: Bool };
entity Target = { vault: String, name: String, standard: Bool, presence: Bool, item: String, field: String };

type Claim = { value: String, derived: Bool };
type Circumstances = {
	sink: String, program: String,
	principal: Claim, tenant: Claim, purpose: Claim,
	lease: Bool, window: Bool, grant: Bool,
};

action "list", "use", "hold", "run-agent", "reveal",
	"create", "propose", "edit", "bind", "title", "tier", "move", "delete", "grant",
	"vault-create", "policy-apply", "setting"
	appliesTo { principal: [Person, Agent, Service], resource: [Target], context: Circumstances };
`

// maxMessage bounds what the checker says of one rule, in bytes: it may repeat
// a type that takes a page.
const maxMessage = 300

// checker checks rules against the schema.
type checker struct{ v *validate.Validator }

func newChecker() (checker, error) {
	var s schema.Schema
	if err := s.UnmarshalCedar([]byte(schemaText)); err != nil {
		return checker{}, err
	}
	r, err := s.Resolve()
	if err != nil {
		return checker{}, err
	}
	return checker{v: validate.New(r, validate.WithStrict())}, nil
}

// rule refuses a rule that speaks of what there is not. cedar-go would skip
// such a rule when it decides, and a skipped forbid allows.
func (c checker) rule(id string, p *cedar.Policy) error {
	err := c.v.Policy("", (*xast.Policy)(p.AST()))
	if err == nil {
		return nil
	}
	// It says the same again for each kind of caller and each action, unordered,
	// and of a misspelt action also that none is left.
	all := strings.Split(err.Error(), "\n")
	slices.Sort(all)
	msg := all[0]
	if len(all) > 1 && strings.HasPrefix(msg, "unable to find an applicable action") {
		msg = all[1]
	}
	return fmt.Errorf("rule %s: %s", id, strings.ToValidUTF8(msg[:min(len(msg), maxMessage)], ""))
}

// request refuses a request, with its entities, that the schema does not know.
func (c checker) request(r cedar.Request, e cedar.EntityMap) error {
	if err := c.v.Request(r); err != nil {
		return err
	}
	return c.v.Entities(e)
}
