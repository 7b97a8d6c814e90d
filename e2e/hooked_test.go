package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// A variant is one way of building the programs.
type variant struct {
	name        string
	environment []string
	packages    []string
}

var (
	// hooked are the programs with the hooks of the tag testhooks.
	hooked = variant{name: "testhooks", packages: []string{"../cmd/posthorn", "../cmd/posthornd", "./testdata/talker"}}
	// erasing are the client's programs with memory that the runtime erases as
	// well. The first build compiles the standard library anew.
	erasing = variant{
		name: "runtimesecret", environment: []string{"GOEXPERIMENT=runtimesecret"},
		packages: []string{"../cmd/posthorn", "./testdata/talker"},
	}
)

var built = map[string]func() (string, error){
	hooked.name:  sync.OnceValues(hooked.build),
	erasing.name: sync.OnceValues(erasing.build),
}

// programs is the folder with the built programs, with the tag testhooks.
func (v variant) programs(t testing.TB) string {
	t.Helper()
	dir, err := built[v.name]()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (v variant) build() (string, error) {
	dir := filepath.Join(binaries, v.name)
	build := exec.Command("go", append([]string{"build", "-tags", "testhooks", "-o", dir + string(filepath.Separator)}, v.packages...)...)
	build.Env = append(os.Environ(), v.environment...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the %s variant: %w\n%s", v.name, err, out)
	}
	return dir, nil
}
