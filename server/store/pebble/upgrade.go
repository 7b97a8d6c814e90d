package pebble

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// engineFormat is the format of the engine's own files. Its log has chunks
// that say how far the log was synced.
const engineFormat = pebble.FormatTableFormatV6

// upgradeEngine makes a copy of a store whose files have an older format than
// engineFormat, before the engine is opened in a way that rewrites them.
func (s *Store) upgradeEngine(dir string, old pebble.FormatMajorVersion) error {
	if old >= engineFormat {
		return nil
	}
	o := s.engineOptions()
	o.FormatMajorVersion = old
	if err := s.openWith(dir, o); err != nil {
		return err
	}
	return errors.Join(s.keepCopy(fmt.Sprintf("engine-%d", engineFormat)), s.db.Close())
}

// upgradeFormat brings a store of an older format of ours to this one, once a copy
// of it lies beside it.
func (s *Store) upgradeFormat(old uint32) error {
	if err := s.keepCopy(fmt.Sprint("format-", formatVersion)); err != nil {
		return err
	}
	if old == uncountedFormat {
		return s.countAnew()
	}
	return s.setFormat()
}

// keepCopy leaves a copy of the store as it is beside it, under a name that
// says before what it was made. It takes next to no room as long as the store
// still has the same files. Who needs it moves it to the place of the store and
// runs the program from before.
func (s *Store) keepCopy(before string) error {
	fs := s.opts.FS
	name := s.dir + ".before-" + before
	for n := 2; exists(fs, name); n++ {
		name = fmt.Sprintf("%s.before-%s.%d", s.dir, before, n)
	}
	half := name + ".incomplete"
	if err := fs.RemoveAll(half); err != nil {
		return fmt.Errorf("store: not upgraded, no copy could be made: %w", err)
	}
	if err := s.db.Checkpoint(half, pebble.WithFlushedWAL()); err != nil {
		return fmt.Errorf("store: not upgraded, no copy could be made: %w", readError(err))
	}
	if err := fs.Rename(half, name); err != nil {
		return fmt.Errorf("store: not upgraded, no copy could be made: %w", err)
	}
	parent, err := fs.OpenDir(fs.PathDir(s.dir))
	if err != nil {
		return err
	}
	s.opts.Log.Info("the store is brought to a newer format; a copy of it as it was lies beside it", "before", before)
	return errors.Join(parent.Sync(), parent.Close())
}

func exists(fs vfs.FS, name string) bool {
	_, err := fs.Stat(name)
	return err == nil
}
