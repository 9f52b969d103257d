package sandbox

import (
	"errors"
	"os"

	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/sandbox/sandboxinfo"
)

// ErrFolderBusy is in the error of Start when another sandbox runs in the folder. Two would deliver each file that is copied in
// twice, and remove each other's uploads under way.
var ErrFolderBusy = message.Error("another sandbox runs in the folder")

// CheckFolder makes the folder and returns an error if no sandbox can run in it: another one does, or it cannot be written.
// Start does so too; a caller that has something to put there first, such as the function binary, asks before.
func CheckFolder(dir string) error {
	if other, ok := sandboxinfo.Running(dir); ok {
		return message.Errorf("sandbox: %w %s (its console is at %s)", ErrFolderBusy, dir, other.Console)
	}
	// What is below is of people's cards, and its own permissions do not matter in a folder that nobody else may enter.
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Chmod(dir, 0o700)
	}
	if err == nil {
		err = probe(dir)
	}
	if err != nil {
		return message.Errorf("sandbox: the folder cannot be written, choose another one: %w", err)
	}
	return nil
}

// probe writes a file into the folder and removes it. One byte is enough to find a disk full.
func probe(dir string) error {
	file, err := os.CreateTemp(dir, ".probe-")
	if err != nil {
		return err
	}
	_, err = file.Write([]byte{0})
	return errors.Join(err, file.Close(), os.Remove(file.Name()))
}
