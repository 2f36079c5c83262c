//go:build !linux

package cli

import "errors"

func closeOnExec(uint) error { return errors.ErrUnsupported }
