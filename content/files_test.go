package content

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// withFile is a message with one file that has been changed.
func withFile(change func(*File)) Message {
	f := files(1)
	change(&f[0])
	return Message{Body: Files{Files: f}}
}

func TestV134NoneTooManyOrRepeatedFilesRefused(t *testing.T) {
	many := make([]File, MaxFiles+1)
	for i := range many {
		many[i] = files(1)[0]
		many[i].ID[15] = byte(i)
	}
	for _, wrong := range [][]File{nil, many, {many[3], many[4], many[3]}} {
		_, err := Encode(Message{Body: Files{Files: wrong, Text: "text"}})
		wantRefusal(t, err, "V-134", ErrFiles)
	}
	encodedMany, err := Encode(Message{Body: Files{Files: many[:MaxFiles]}})
	if err != nil {
		t.Fatalf("sixteen files: %v", err)
	}
	none := bytes.Clone(encodedMany[:headerSize+1])
	none[headerSize] = 0
	refused(t, none, "V-134", ErrFiles)
	seventeen := bytes.Clone(encodedMany)
	seventeen[headerSize] = MaxFiles + 1
	refused(t, seventeen, "V-134", ErrFiles)
	each := (len(encodedMany) - headerSize - 1) / MaxFiles
	twice := bytes.Clone(encodedMany)
	copy(twice[headerSize+1+each:], twice[headerSize+1:headerSize+1+each])
	refused(t, twice, "V-134", ErrFiles)
}

func TestV135FileNamesTypesAndSizesRefused(t *testing.T) {
	for name, change := range map[string]func(*File){
		"no name":       func(f *File) { f.Name = "" },
		"long name":     func(f *File) { f.Name = strings.Repeat("x", MaxFileName+1) },
		"broken name":   func(f *File) { f.Name = "a\xff" },
		"size":          func(f *File) { f.Size = MaxFileSize + 1 },
		"long type":     func(f *File) { f.Type = "a/" + strings.Repeat("x", MaxMediaType-1) },
		"upper case":    func(f *File) { f.Type = "Text/plain" },
		"parameters":    func(f *File) { f.Type = "text/plain; charset=utf-8" },
		"no slash":      func(f *File) { f.Type = "text" },
		"two slashes":   func(f *File) { f.Type = "a/b/c" },
		"slash first":   func(f *File) { f.Type = "/plain" },
		"slash last":    func(f *File) { f.Type = "text/" },
		"control":       func(f *File) { f.Type = "text/\n" },
		"not even text": func(f *File) { f.Type = "\xff/\xff" },
	} {
		_, err := Encode(withFile(change))
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantRefusal(t, err, "V-135", ErrFiles)
	}
	for name, change := range map[string]func(*File){
		"longest name": func(f *File) { f.Name = strings.Repeat("x", MaxFileName) },
		"longest type": func(f *File) { f.Type = "a/" + strings.Repeat("x", MaxMediaType-2) },
		"hostile name": func(f *File) { f.Name = "../\x00\u202e" }, // made safe where it is used
		"largest":      func(f *File) { f.Size = MaxFileSize },
		"empty":        func(f *File) { f.Size = 0 },
		"all signs":    func(f *File) { f.Type = "x-y.z/a+b_c-0" },
	} {
		encoded, err := Encode(withFile(change))
		if err == nil {
			_, err = Decode(encoded)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What Encode would not write is refused when it is read, too.
func TestV135EncodedFilesRefused(t *testing.T) {
	good, err := Encode(withFile(func(*File) {}))
	if err != nil {
		t.Fatal(err)
	}
	at := headerSize + 1 + 16 + 32 + 48
	size := bytes.Clone(good)
	size[at] = 1
	refused(t, size, "V-135", ErrFiles)
	name := bytes.Clone(good)
	name[at+8+2] = 0xff
	refused(t, name, "V-135", ErrFiles)
}

func TestFilesCarryTextUnderItsRules(t *testing.T) {
	for text, check := range map[string]string{strings.Repeat("x", MaxText+1): "V-72", "a\xff": "V-73"} {
		_, err := Encode(Message{Body: Files{Files: files(1), Text: text}})
		wantRefusal(t, err, check, map[string]error{"V-72": ErrTextTooLong, "V-73": ErrText}[check])
	}
}

// The greatest message of this kind fits into what package pq3 seals.
func TestLargestFilesFit(t *testing.T) {
	all := make([]File, MaxFiles)
	for i := range all {
		all[i] = File{ID: FileID{byte(i)}, Name: strings.Repeat("n", MaxFileName), Type: "a/" + strings.Repeat("t", MaxMediaType-2)}
	}
	encoded, err := Encode(Message{Body: Files{Files: all, Text: strings.Repeat("x", MaxText)}})
	if err != nil || len(encoded) > 100<<10 {
		t.Errorf("%d bytes, %v", len(encoded), err)
	}
}

func TestFilesDoNotPrintTheirKeys(t *testing.T) {
	m := withFile(func(f *File) { f.Key[3] = 0xab })
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		for _, v := range []any{m, m.Body, m.Body.(Files).Files, m.Body.(Files).Files[0], &m.Body.(Files).Files[0]} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "171") || strings.Contains(strings.ToLower(got), "ab") {
				t.Errorf("%s prints %q", verb, got)
			}
		}
	}
}
