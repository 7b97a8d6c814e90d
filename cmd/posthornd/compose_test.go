package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// composition is what this test looks at in a compose file.
type composition struct {
	Services map[string]service
	Volumes  map[string]any
}

type service struct {
	Image       string
	Build       map[string]string
	Command     []string
	Environment map[string]string
	Volumes     []string
	DependsOn   yaml.Node `yaml:"depends_on"`
	ReadOnly    bool      `yaml:"read_only"`
	Ports       []string
}

// The clustered form is three nodes over one database, one bus and one bucket,
// behind a front that does TLS, and every setting in it is read by somebody.
func TestComposition(t *testing.T) {
	text := inRepository(t, "deploy/compose.yaml")
	var c composition
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	example := inRepository(t, "deploy/compose.env.example")
	for _, m := range regexp.MustCompile(`\$\{(\w+)\}`).FindAllStringSubmatch(text, -1) {
		if !strings.Contains("\n"+example, "\n"+m[1]+"=") {
			t.Errorf("compose.env.example does not set %s", m[1])
		}
	}
	names, known := map[string]bool{}, variables(newServe(&app{}))
	for name, s := range c.Services {
		if (s.Image == "") == (s.Build == nil) {
			t.Errorf("%s has an image and is built, or neither", name)
		}
		for _, v := range s.Volumes {
			if from, _, _ := strings.Cut(v, ":"); !strings.HasPrefix(from, ".") {
				if _, there := c.Volumes[from]; !there {
					t.Errorf("%s mounts %s, which is no volume", name, from)
				}
			}
		}
		for _, other := range dependencies(t, s.DependsOn) {
			if _, there := c.Services[other]; !there {
				t.Errorf("%s waits for %s, which is no service", name, other)
			}
		}
		if s.Build == nil {
			continue
		}
		checkNode(t, name, s, known)
		names[s.Environment["POSTHORN_NODE_NAME"]] = true
	}
	if len(names) != 3 || names[""] {
		t.Errorf("the nodes are %v", names)
	}
	if front := inRepository(t, "deploy/Caddyfile"); !strings.Contains(front, "curves x25519mlkem768") || !strings.Contains(front, "protocols tls1.3") {
		t.Error("the front agrees to less than a post-quantum key exchange")
	}
}

// checkNode looks at one of our servers.
func checkNode(t *testing.T, name string, s service, known []string) {
	t.Helper()
	if s.Build["dockerfile"] != "deploy/Dockerfile" || !s.ReadOnly || len(s.Ports) > 0 || len(s.Command) > 0 {
		t.Errorf("%s: %+v", name, s)
	}
	for v := range s.Environment {
		if strings.HasPrefix(v, "POSTHORN_") && !slices.Contains(known, v) {
			t.Errorf("%s sets %s, which nothing reads", name, v)
		}
	}
	for v, begins := range map[string]string{
		"POSTHORN_STORE": "postgres://", "POSTHORN_BUS": "nats://", "POSTHORN_BLOBS": "s3://", "POSTHORN_BEHIND_PROXY": "true", "POSTHORN_LISTEN": "0.0.0.0:",
	} {
		if !strings.HasPrefix(s.Environment[v], begins) {
			t.Errorf("%s has %s=%s", name, v, s.Environment[v])
		}
	}
}

// dependencies are the names that a service waits for, in either notation.
func dependencies(t *testing.T, n yaml.Node) (names []string) {
	t.Helper()
	if n.Kind == yaml.MappingNode {
		var m map[string]any
		if err := n.Decode(&m); err != nil {
			t.Fatal(err)
		}
		for name := range m {
			names = append(names, name)
		}
		return names
	}
	if n.Kind != 0 {
		if err := n.Decode(&names); err != nil {
			t.Fatal(err)
		}
	}
	return names
}
