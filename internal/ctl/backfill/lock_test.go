package backfill

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOneRunAtATimeHasTheCheckpoint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "checkpoint")
	unlock, err := Lock(path)
	require.NoError(t, err)
	_, err = Lock(path)
	var locked *LockedError
	require.ErrorAs(t, err, &locked)
	assert.Equal(t, os.Getpid(), locked.holder.Process)
	other, err := Lock(path + "2")
	require.NoError(t, err, "another checkpoint is free")
	other()
	unlock()
	assert.NoFileExists(t, path+".lock")
	require.NoError(t, os.WriteFile(path+".lock", []byte("left by a kill"), 0o600))
	unlock, err = Lock(path)
	require.NoError(t, err, "a file alone locks nothing")
	unlock()
}

func TestALockIsNeverHadTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "checkpoint")
	var holders, had atomic.Int64
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			for range 200 {
				unlock, err := Lock(path)
				if err != nil {
					continue
				}
				had.Add(1)
				assert.EqualValues(t, 1, holders.Add(1))
				holders.Add(-1)
				unlock()
			}
		})
	}
	work.Wait()
	assert.Positive(t, had.Load())
}
