package doctor

// platform says what this system lacks (README, "Platforms").
func (o Options) platform() []Finding {
	const check = "platform"
	switch o.OS {
	case "linux":
		return []Finding{{check, OK, "linux: everything of this release is there", ""}}
	case "darwin":
		return []Finding{{check, Warning, "darwin: it compiles, and nobody has tried it", "keep no real secret here yet"}}
	case "windows":
		return []Finding{{check, Problem, "windows: nobody can be told from an agent, so that nobody can unlock; `run` starts programs with --no-masking alone; never tried", "use Linux"}}
	}
	return []Finding{{check, Warning, o.OS + ": never tried", ""}}
}
