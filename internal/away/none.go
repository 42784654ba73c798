//go:build !darwin && !windows

package away

import "context"

// Run hears nothing here: Linux has logind.
func (w Watch) Run(ctx context.Context) {
	w.Say(State{Note: "suspend, screen lock and logout are not heard on this system"})
	<-ctx.Done()
}
