package doctor

// platform says what this system lacks (README, "Platforms").
func (o Options) platform() []Finding {
	const check = "platform"
	switch o.OS {
	case "linux":
		return []Finding{{check, OK, "linux: everything of this release is there", ""}}
	case "darwin":
		return []Finding{{check, Warning, "darwin: the ancestry of a process is not read, so that everybody counts as an agent", "use a test home to try things"}}
	case "windows":
		return []Finding{{check, Problem, "windows: the daemon does not run yet", "use Linux"}}
	}
	return []Finding{{check, Warning, o.OS + ": never tried", ""}}
}
