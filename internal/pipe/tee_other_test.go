//go:build !linux

package pipe

var implementations = map[string]teeFunc{"buffer": teeBuffer}
