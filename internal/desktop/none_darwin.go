package desktop

import "context"

// Run waits for ctx: macOS takes notifications only from a signed application with a
// bundle, which a daemon is not.
func (d *Desktop) Run(ctx context.Context) {
	d.say(State{Note: "no notifications on macOS: they need a signed application"})
	<-ctx.Done()
}
