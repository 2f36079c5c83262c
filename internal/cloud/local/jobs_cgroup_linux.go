package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// cgroupTree is what a process sees of the cgroups of the machine.
type cgroupTree []hierarchy

// hierarchy is one mounted tree of cgroups.
type hierarchy struct {
	unified     bool     // version 2
	controllers []string // version 2: those that the cgroup of the process can hand on
	mount       string   // folder of the mounted root
	root        string   // the cgroup that is mounted there
	own         string   // the cgroup of the process
}

// readCgroupTree reads /proc/PID/cgroup and /proc/PID/mountinfo; proc is that folder.
func readCgroupTree(proc string) (cgroupTree, error) {
	mounts, err := os.ReadFile(filepath.Join(proc, "mountinfo"))
	if err != nil {
		return nil, err
	}
	groups, err := os.ReadFile(filepath.Join(proc, "cgroup"))
	if err != nil {
		return nil, err
	}
	var tree cgroupTree
	for line := range strings.Lines(string(mounts)) {
		if h, ok := parseMount(strings.TrimSpace(line)); ok && h.place(string(groups)) {
			tree = append(tree, h)
		}
	}
	return tree, nil
}

// parseMount reads a line of mountinfo: ID PARENT MAJOR:MINOR ROOT MOUNT OPTIONS ... - TYPE SOURCE OPTIONS.
func parseMount(line string) (hierarchy, bool) {
	front, back, _ := strings.Cut(line, " - ")
	f, b := strings.Fields(front), strings.Fields(back)
	if len(f) < 6 || len(b) < 3 {
		return hierarchy{}, false
	}
	h := hierarchy{root: f[3], mount: strings.ReplaceAll(f[4], `\040`, " ")}
	switch b[0] {
	case "cgroup2":
		h.unified = true
	case "cgroup":
		h.controllers = strings.Split(b[2], ",")
	default:
		return hierarchy{}, false
	}
	return h, true
}

// place finds the cgroup of the process by the text of /proc/PID/cgroup: lines of ID:CONTROLLERS:PATH.
func (h *hierarchy) place(groups string) bool {
	for line := range strings.Lines(groups) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, ok := strings.Cut(rest, ":")
		if !ok {
			continue
		}
		if h.unified && id == "0" && controllers == "" {
			h.own = path
			text, _ := os.ReadFile(filepath.Join(h.folder(path), "cgroup.controllers"))
			h.controllers = strings.Fields(string(text))
			return true
		}
		if !h.unified && controllers != "" && slices.Contains(h.controllers, strings.Split(controllers, ",")[0]) {
			h.own = path
			return true
		}
	}
	return false
}

// folder returns the folder of a cgroup.
func (h *hierarchy) folder(path string) string {
	rel, err := filepath.Rel(h.root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		rel = "."
	}
	return filepath.Join(h.mount, rel)
}

// find returns the hierarchy that has the controller.
func (t cgroupTree) find(controller string) (hierarchy, error) {
	for _, h := range t {
		if slices.Contains(h.controllers, controller) {
			return h, nil
		}
	}
	return hierarchy{}, fmt.Errorf("this machine has no cgroup with the controller %q", controller)
}

// leaf is the cgroup to which handoff moves itself, since one that hands on controllers may have no processes of its own.
const leaf = "handoff-main"

var errNotGiven = errors.New("handoff was given no cgroup that it may divide")

// parent returns the folder in which the cgroup of a job can be made: that of the cgroup base, else of the process's own
// one where that is handoff's to divide: it was delegated, or it is the root of all that is to be seen. One that some
// other program manages is left alone.
func (h *hierarchy) parent(base string) (string, error) {
	if base != "" {
		dir := filepath.Join(h.mount, filepath.Join("/", base))
		if _, err := os.Stat(dir); err != nil {
			return "", fmt.Errorf("cgroup %q: %w", base, err)
		}
		return dir, nil
	}
	dir := h.folder(h.own)
	if filepath.Base(dir) == leaf {
		dir = filepath.Dir(dir)
	}
	if dir != h.mount && !delegated(dir) {
		return "", errNotGiven
	}
	if unix.Access(dir, unix.W_OK) != nil {
		return "", errNotGiven
	}
	return dir, nil
}

// delegated reports whether a cgroup was given to this user, or marked as given by the service manager.
func delegated(dir string) bool {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return false
	}
	if uid := os.Geteuid(); uid != 0 && int(st.Uid) == uid {
		return true
	}
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		var mark [8]byte
		if n, err := unix.Getxattr(dir, name, mark[:]); err == nil && string(mark[:n]) == "1" {
			return true
		}
	}
	return false
}

// enable hands a controller on to the children of a cgroup of version 2. Its own processes, which are all handoff's, go to
// a child where they are in the way.
func enable(parent, controller string) error {
	const file = "cgroup.subtree_control"
	text, err := os.ReadFile(filepath.Join(parent, file))
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(string(text)), controller) {
		return nil
	}
	err = writeControl(parent, file, "+"+controller)
	if !errors.Is(err, unix.EBUSY) {
		return err
	}
	if err := evacuate(parent); err != nil {
		return fmt.Errorf("make room in the cgroup: %w", err)
	}
	return writeControl(parent, file, "+"+controller)
}

func evacuate(parent string) error {
	to := filepath.Join(parent, leaf)
	if err := os.Mkdir(to, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	text, err := os.ReadFile(filepath.Join(parent, "cgroup.procs"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if err := writeControl(to, "cgroup.procs", strings.TrimSpace(line)); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}
