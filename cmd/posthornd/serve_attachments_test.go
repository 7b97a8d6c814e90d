package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAttachmentsLieInTheDataFolderOrWhereTheOptionSays(t *testing.T) {
	data, elsewhere := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "blobs")
	for _, row := range []struct {
		options []string
		want    string
	}{{nil, filepath.Join(data, blobsFolder)}, {[]string{"--blobs", elsewhere}, elsewhere}} {
		s := start(t, data, row.options...)
		for _, folder := range []string{row.want, filepath.Join(row.want, "files"), filepath.Join(row.want, "uploads")} {
			if there, err := os.Stat(folder); err != nil || there.Mode().Perm() != 0o700 {
				t.Errorf("%v: %v", folder, err)
			}
		}
		if code := s.end(); code != 0 {
			t.Errorf("exit %d", code)
		}
	}
}

func TestAttachmentOptionsThatMakeNoSense(t *testing.T) {
	for _, row := range [][2]string{
		{"--attachment-size=0", "--attachment-size"}, {"--attachment-size=1025MiB", "--attachment-size"}, {"--attachment-size=3GiB", "--attachment-size"},
		{"--attachment-size=many", "a size is"}, {"--attachment-size=-1", "a size is"}, {"--attachment-size=99999999TiB", "a size is"},
		{"--attachment-quota=1KiB", "--attachment-quota"}, {"--attachment-retention=1s", "--attachment-retention"},
	} {
		code, out, complaint := command(t, "serve", "--data", t.TempDir(), row[0])
		if code != exitUsage || out != "" || !strings.Contains(complaint, row[1]) {
			t.Errorf("%s: exit %d, %q", row[0], code, complaint)
		}
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]uint64{"1B": 1, "1023B": 1023, "64KiB": 64 << 10, "100MiB": 100 << 20, "1GiB": 1 << 30, "2TiB": 2 << 40} {
		if n, err := parseSize(text); err != nil || n != want || sizeText(n) != text {
			t.Errorf("%s: %d, %s, %v", text, n, sizeText(n), err)
		}
	}
	for _, text := range []string{"", "KiB", "1 KiB", "1kb", "1.5MiB", "-1", "0x10", "999999999999999999999", "99999999TiB"} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q is read as %d", text, n)
		}
	}
}

// A bucket that cannot be used stops the start, with the next step.
func TestBucketThatCannotBeUsed(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "none")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "none")
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	code, out, complaint := command(t, "serve", "--data", t.TempDir(), "--listen", "127.0.0.1:0",
		"--blobs", "s3://nobody?region=us-east-1&use_path_style=true&endpoint=http%3A%2F%2F127.0.0.1%3A1")
	if code != exitUser || out != "" || !strings.Contains(complaint, "the bucket for attachments cannot be used") || !strings.Contains(complaint, "hint: check the address behind --blobs") {
		t.Errorf("exit %d, %q, %s", code, out, complaint)
	}
}
