//go:build !linux

package container

import "os/exec"

func isolate(*exec.Cmd) {}

// EnterBox returns an ErrNoBox: only Linux has boxes.
func EnterBox() (code int, err error) { return exitNoBox, ErrNoBox }
