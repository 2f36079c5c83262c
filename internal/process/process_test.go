package process

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestExit(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		script  string
		want    Exit
		success bool
	}{
		{"success", "exit 0", Exit{}, true},
		{"code", "exit 3", Exit{Code: 3}, false},
		{"code above 128 is no signal", "exit 141", Exit{Code: 141}, false},
		{"SIGKILL", "kill -KILL $$", Exit{Signal: syscall.SIGKILL}, false},
		{"SIGPIPE", "kill -PIPE $$", Exit{Signal: syscall.SIGPIPE}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, _ := sh(t, newTestSupervisor(t), tt.script)
			got := p.Wait()
			if got.Code != tt.want.Code || got.Signal != tt.want.Signal || got.Success() != tt.success {
				t.Errorf("exit = %d, %v, success %v; want %+v, %v", got.Code, got.Signal, got.Success(), tt.want, tt.success)
			}
		})
	}
}

func TestStartMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tests := []struct {
		name string
		sp   Spec
	}{
		{"program", Spec{Path: filepath.Join(dir, "no-shell"), Args: []string{"no-shell"}, Dir: dir}},
		{"folder", Spec{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 0"}, Dir: filepath.Join(dir, "none")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := newTestSupervisor(t).Start(tt.sp)
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error = %v; want fs.ErrNotExist", err)
			}
		})
	}
}

func TestStopKillsWhatIgnoresTerm(t *testing.T) {
	t.Parallel()
	s := newTestSupervisor(t)
	p, out := spawn(t, s, self(t, "ignore-term")...)
	line(t, out)
	p.Stop(50 * time.Millisecond)
	if got := p.Wait(); got.Signal != syscall.SIGKILL {
		t.Errorf("signal = %v; want SIGKILL", got.Signal)
	}
	if err := syscall.Kill(-p.Pid(), 0); err != syscall.ESRCH {
		t.Errorf("kill group = %v; want ESRCH", err)
	}
}
