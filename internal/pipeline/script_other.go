//go:build !linux

package pipeline

import "os"

func anonymousFile() (*os.File, error) { return unlinkedFile() }
