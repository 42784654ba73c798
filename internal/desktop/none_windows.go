package desktop

import "context"

// Run waits for ctx: Windows takes notifications only from an application that has an
// identity in the start menu, which a daemon has not.
func (d *Desktop) Run(ctx context.Context) {
	d.say(State{Note: "no notifications on Windows: they need an installed application"})
	<-ctx.Done()
}
