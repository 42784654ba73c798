//go:build unix && !linux

package doctor

func dumpable() Finding { return Finding{"core dumps", OK, "off", ""} }
