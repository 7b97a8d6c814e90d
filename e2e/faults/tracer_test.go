//go:build linux && amd64

package faults

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/posthorn/posthorn/internal/machine"
)

// An operation is one system call that changes the data folder, seen before it
// is carried out.
type operation struct {
	kind string // one of kinds
	path string
}

// A verdict is what becomes of an operation.
type verdict struct {
	kill  bool          // the process is killed, and the call never made
	errno syscall.Errno // else, when not 0: the call fails with it, and nothing is done
}

// changes are the system calls that change files, by number, and which
// argument names the file: a descriptor, or a path in memory.
var changes = map[uint64]struct {
	kind     string
	argument int
	byPath   bool
}{
	syscall.SYS_FSYNC:     {kind: "sync"},
	syscall.SYS_FDATASYNC: {kind: "sync"},
	sysSyncFileRange:      {kind: "range"},
	syscall.SYS_WRITE:     {kind: "write"},
	syscall.SYS_PWRITE64:  {kind: "write"},
	syscall.SYS_WRITEV:    {kind: "write"},
	syscall.SYS_FTRUNCATE: {kind: "size"},
	syscall.SYS_FALLOCATE: {kind: "size"},
	syscall.SYS_RENAME:    {"rename", 0, true},
	syscall.SYS_RENAMEAT:  {"rename", 1, true},
	sysRenameat2:          {"rename", 1, true},
	syscall.SYS_UNLINK:    {"unlink", 0, true},
	syscall.SYS_UNLINKAT:  {"unlink", 1, true},
	syscall.SYS_OPENAT:    {"create", 1, true}, // with O_CREAT
	syscall.SYS_MKDIRAT:   {"create", 1, true},
	syscall.SYS_LINKAT:    {"create", 3, true},
}

// kinds are those of changes, in the order in which tests take them.
var kinds = []string{"sync", "range", "write", "size", "rename", "unlink", "create"}

// Numbers that package syscall does not have.
const (
	sysRenameat2     = 316
	sysSyncFileRange = 277
	sysSeccomp       = 317

	prSetNoNewPrivs    = 38
	seccompFilter      = 1
	auditX86_64        = 0xC000003E
	retAllow           = 0x7FFF0000
	retTrace           = 0x7FF00000
	optionTraceSeccomp = 0x80
	optionExitKill     = 0x100000
	eventSeccomp       = 7
)

// launchArgument makes the test binary a launcher: it puts the filter on
// itself and becomes the program that follows.
const launchArgument = "faults-launch"

// launch does not return. Only the calls in the filter stop for the tracer, so
// a traced server is hardly slower than any other.
func launch(command []string) {
	runtime.LockOSThread()
	filter := filterOf()
	program := struct {
		n      uint16
		filter unsafe.Pointer
	}{uint16(len(filter)), unsafe.Pointer(&filter[0])}
	if _, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, prSetNoNewPrivs, 1, 0, 0, 0, 0); e != 0 {
		fail("no_new_privs", e)
	}
	if _, _, e := syscall.RawSyscall(sysSeccomp, seccompFilter, 0, uintptr(unsafe.Pointer(&program))); e != 0 {
		fail("seccomp", e)
	}
	fail("exec", syscall.Exec(command[0], command, os.Environ()))
}

func fail(what string, err error) {
	fmt.Fprintln(os.Stderr, "launcher:", what, err)
	os.Exit(99)
}

// An instruction of the kernel's classic packet filter.
type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// filterOf stops calls that change files, and opens only if they may create.
func filterOf() (f []instruction) {
	const load, equal, anyBit, ret = 0x20, 0x15, 0x45, 0x06
	f = append(f, instruction{load, 0, 0, 4}, instruction{equal, 1, 0, auditX86_64}, instruction{ret, 0, 0, retAllow}, instruction{load, 0, 0, 0})
	for number := range changes {
		if number != syscall.SYS_OPENAT {
			f = append(f, instruction{equal, 0, 1, uint32(number)}, instruction{ret, 0, 0, retTrace})
		}
	}
	return append(f,
		instruction{equal, 0, 3, syscall.SYS_OPENAT}, instruction{load, 0, 0, 32},
		instruction{anyBit, 0, 1, syscall.O_CREAT}, instruction{ret, 0, 0, retTrace}, instruction{ret, 0, 0, retAllow})
}

// A tracer judges every operation of one process on one folder.
type tracer struct {
	folder string
	judge  func(operation) verdict // called one at a time
	pid    int
	fresh  map[int]bool // threads whose first stop has been seen
}

// run starts a command under the tracer and follows it to its end. started is
// called once with the pid. It returns the exit code, -1 after a signal.
func (r *tracer) run(command []string, files []uintptr, started func(pid int, err error)) (code int) {
	runtime.LockOSThread() // a tracee belongs to a thread; the thread ends with this goroutine
	self, err := os.Executable()
	if err == nil {
		r.pid, err = syscall.ForkExec(self, append([]string{self, launchArgument}, command...), &syscall.ProcAttr{
			Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Ptrace: true},
		})
	}
	if err == nil {
		err = r.take()
	}
	started(r.pid, err)
	if err != nil {
		return -1
	}
	return r.follow()
}

// take gets hold of the process at its first stop.
func (r *tracer) take() error {
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(r.pid, &status, syscall.WALL, nil); err != nil {
		return err
	}
	r.fresh = map[int]bool{r.pid: true}
	const options = syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACEFORK | syscall.PTRACE_O_TRACEVFORK |
		syscall.PTRACE_O_TRACEEXEC | optionTraceSeccomp | optionExitKill
	if err := syscall.PtraceSetOptions(r.pid, options); err != nil {
		return err
	}
	return syscall.PtraceCont(r.pid, 0)
}

// follow handles stops until the process has ended. Its last thread is the one
// that it began with.
func (r *tracer) follow() (code int) {
	for {
		tid, err := r.next()
		if err != nil {
			return -1
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(tid, &status, syscall.WALL|syscall.WNOTHREAD, nil); err != nil {
			continue
		}
		switch {
		case tid == r.pid && (status.Exited() || status.Signaled()):
			return status.ExitStatus() // -1 after a signal
		case status.Stopped():
			_ = syscall.PtraceCont(tid, r.stopped(tid, status)) // fails when the thread is gone
		}
	}
}

// next waits for a thread of ours that has something to say. What it says stays
// to be fetched. Our own thread may have started other processes before it was
// ours alone, and what becomes of those is for others to hear.
func (r *tracer) next() (tid int, err error) {
	for {
		var said [128]byte // siginfo_t
		const everybody, ended, stopped, leave, pidAt = 0, 4, 2, 0x01000000, 16
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, everybody, 0, uintptr(unsafe.Pointer(&said[0])),
			ended|stopped|leave|syscall.WALL|syscall.WNOTHREAD, 0, 0)
		tid := int(binary.NativeEndian.Uint32(said[pidAt:]))
		switch {
		case e == syscall.EINTR:
		case e != 0:
			return 0, e
		case r.fresh[tid] || traced(tid):
			return tid, nil
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

// traced reports whether a thread is under a tracer.
func traced(tid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tid))
	return err == nil && !bytes.Contains(status, []byte("\nTracerPid:\t0\n"))
}

// stopped handles one stop and returns the signal to pass on.
func (r *tracer) stopped(tid int, status syscall.WaitStatus) (signal int) {
	first := !r.fresh[tid]
	r.fresh[tid] = true
	switch {
	case status.StopSignal() == syscall.SIGTRAP && status>>16 == eventSeccomp:
		r.intercept(tid)
	case status.StopSignal() == syscall.SIGTRAP, first && status.StopSignal() == syscall.SIGSTOP:
	default:
		return int(status.StopSignal())
	}
	return 0
}

// intercept judges the call that a thread is about to make.
func (r *tracer) intercept(tid int) {
	var regs syscall.PtraceRegs
	if syscall.PtraceGetRegs(tid, &regs) != nil {
		return
	}
	c := changes[regs.Orig_rax]
	arguments := [...]uint64{regs.Rdi, regs.Rsi, regs.Rdx, regs.R10}
	path := ""
	if c.byPath {
		path = textAt(tid, arguments[c.argument])
	} else {
		path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, int32(arguments[0])))
	}
	if path != r.folder && !strings.HasPrefix(path, r.folder+string(filepath.Separator)) {
		return
	}
	switch v := r.judge(operation{c.kind, path}); {
	case v.kill:
		_ = syscall.Kill(r.pid, syscall.SIGKILL)
	case v.errno != 0:
		regs.Orig_rax = ^uint64(0) // no call
		regs.Rax = uint64(-int64(v.errno))
		_ = syscall.PtraceSetRegs(tid, &regs)
	}
}

// textAt reads a text from the memory of a process.
func textAt(tid int, address uint64) string {
	memory, err := os.Open(fmt.Sprintf("/proc/%d/mem", tid))
	if err != nil {
		return ""
	}
	defer memory.Close()
	buffer := make([]byte, 4096)
	n, _ := memory.ReadAt(buffer, int64(address))
	text, _, _ := strings.Cut(string(buffer[:n]), "\x00")
	return text
}

// needTracer ends a test on a machine where processes cannot be traced.
func needTracer(t *testing.T) {
	t.Helper()
	r := &tracer{folder: "/nowhere", judge: func(operation) verdict { return verdict{} }}
	ended := make(chan int)
	go func() { ended <- r.run([]string{"/bin/true"}, []uintptr{0, 1, 2}, func(int, error) {}) }()
	if code := <-ended; code != 0 {
		machine.Lacks(t, "processes cannot be traced here (ptrace with seccomp)")
	}
}

// TestTracerStopsWhatItShould: a copied file shows as creation and write, a
// verdict makes the call fail, and another ends the process.
func TestTracerStopsWhatItShould(t *testing.T) {
	needTracer(t)
	folder := t.TempDir()
	copying := []string{"/bin/sh", "-c", "echo text > " + folder + "/a && mv " + folder + "/a " + folder + "/b && rm " + folder + "/b"}
	trace := func(judge func(operation) verdict) (seen string, code int) {
		r := &tracer{folder: folder, judge: func(o operation) verdict {
			seen += o.kind + " "
			return judge(o)
		}}
		ended := make(chan int)
		go func() { ended <- r.run(copying, []uintptr{0, 1, 2}, func(int, error) {}) }()
		code = <-ended
		return seen, code
	}
	if seen, code := trace(func(operation) verdict { return verdict{} }); code != 0 || seen != "create write rename unlink " {
		t.Errorf("%q, exit %d", seen, code)
	}
	if seen, code := trace(func(o operation) verdict { return verdict{kill: o.kind == "write"} }); code == 0 || seen != "create write " {
		t.Errorf("killed: %q, exit %d", seen, code)
	}
	failing := func(o operation) verdict {
		if o.kind == "write" {
			return verdict{errno: syscall.ENOSPC}
		}
		return verdict{}
	}
	if seen, code := trace(failing); code == 0 || seen != "create write " {
		t.Errorf("full: %q, exit %d", seen, code)
	}
}
