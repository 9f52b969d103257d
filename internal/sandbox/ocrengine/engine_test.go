package ocrengine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/image/bmp"
)

// childMode makes the test binary play the child process.
const childMode = "ENGINE_TEST_CHILD"

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		playChild(mode)
		return
	}
	os.Exit(m.Run())
}

// pictureHasCome is what a silent child prints when it has a request.
const pictureHasCome = "a picture has come"

// playChild answers requests: "echo" with a line that is the picture's bytes, the others with what their names say.
func playChild(mode string) {
	fmt.Fprintln(os.Stderr, "a library says hello")
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		var req request
		if err := json.Unmarshal(in.Bytes(), &req); err != nil {
			os.Exit(3)
		}
		switch mode {
		case "echo":
			text, _ := json.Marshal(string(req.Image))
			fmt.Printf(`{"id":%d,"lines":[{"text":%s,"score":1,"box":[[0,0],[600,0],[600,40],[0,40]]}]}`+"\n", req.ID, text)
		case "dies":
			os.Exit(1)
		case "silent":
			fmt.Fprintln(os.Stderr, pictureHasCome)
		case "broken":
			fmt.Fprintln(os.Stderr, "node:internal/modules/esm/resolve:873\n\nError [ERR_MODULE_NOT_FOUND]: Cannot find package 'sharp'\n    at x\n\nNode.js v20.0.0")
			os.Exit(1)
		case "unreadable":
			fmt.Printf(`{"id":%d,"error":{"code":"unreadable","message":"no such format"}}`+"\n", req.ID)
		case "fails":
			fmt.Printf(`{"id":%d,"error":{"code":"failed","message":"out of memory"}}`+"\n", req.ID)
		case "babbles":
			fmt.Println("Loading model ...")
		case "mixes up":
			fmt.Printf(`{"id":%d,"lines":[]}`+"\n", req.ID+1)
		}
	}
}

// startPlayed starts an engine whose nth child plays the nth mode, later ones the last, and returns the number of starts.
func startPlayed(t *testing.T, workers int, modes ...string) (*Engine, *atomic.Int32) {
	t.Helper()
	var starts atomic.Int32
	e := start(t.Context(), Config{Workers: workers}, func(ctx context.Context) *exec.Cmd {
		n := int(starts.Add(1))
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), childMode+"="+modes[min(n, len(modes))-1])
		return cmd
	})
	t.Cleanup(func() { assert.NoError(t, e.Close()) })
	return e, &starts
}

func TestReadGivesEachCallerItsOwnAnswer(t *testing.T) {
	t.Parallel()
	e, starts := startPlayed(t, 3, "echo")
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			want := fmt.Sprintf("1101011904030700%02d", i)
			card, err := e.Read(t.Context(), []byte(want))
			assert.NoError(t, err)
			assert.Equal(t, want, card.IDNumber)
		})
	}
	all.Wait()
	assert.EqualValues(t, 3, starts.Load(), "a child serves many pictures")
}

func TestReadIsRetriedOnceAfterTheChildIsLost(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"dies", "babbles", "mixes up"} {
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			e, starts := startPlayed(t, 1, first, "echo")
			card, err := e.Read(t.Context(), []byte(number))
			require.NoError(t, err)
			assert.Equal(t, number, card.IDNumber)
			assert.EqualValues(t, 2, starts.Load())
		})
	}
}

func TestReadFailsIfTheSecondChildIsLostToo(t *testing.T) {
	t.Parallel()
	e, starts := startPlayed(t, 1, "dies", "dies", "echo")
	_, err := e.Read(t.Context(), []byte(number))
	require.ErrorIs(t, err, errWorkerLost)
	assert.NotContains(t, err.Error(), number)
	assert.EqualValues(t, 2, starts.Load())

	card, err := e.Read(t.Context(), []byte(number))
	require.NoError(t, err, "the next picture gets a new child")
	assert.Equal(t, number, card.IDNumber)
}

func TestAChildThatIsKilledWhileItReadsIsReplaced(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		modes []string
		kills int
	}{
		"once":                      {[]string{"silent", "echo"}, 1},
		"twice by the same picture": {[]string{"silent", "silent", "echo"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lines := make(signal, 100)
			children := make(chan *exec.Cmd, len(test.modes))
			e := start(t.Context(), Config{Log: slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: slog.LevelDebug}))},
				func(ctx context.Context) *exec.Cmd {
					cmd := exec.CommandContext(ctx, os.Args[0])
					cmd.Env = append(os.Environ(), childMode+"="+test.modes[0])
					test.modes = test.modes[1:]
					children <- cmd
					return cmd
				})
			t.Cleanup(func() { assert.NoError(t, e.Close()) })
			go func() {
				for range test.kills {
					child := <-children
					for line := range lines {
						if strings.Contains(line, pictureHasCome) {
							break
						}
					}
					child.Process.Kill() //nolint:errcheck // the test shows
				}
			}()
			card, err := e.Read(t.Context(), []byte(number))
			if test.kills > 1 {
				require.ErrorIs(t, err, errWorkerLost)
				assert.ErrorContains(t, err, "signal: killed")
				card, err = e.Read(t.Context(), []byte(number))
			}
			require.NoError(t, err)
			assert.Equal(t, number, card.IDNumber)
		})
	}
}

func TestAChildThatCannotRunSaysWhyAndHowToInstallIt(t *testing.T) {
	t.Parallel()
	e, _ := startPlayed(t, 1, "broken")
	_, err := e.Read(t.Context(), []byte("x"))
	require.ErrorIs(t, err, errWorkerLost)
	assert.ErrorContains(t, err, "exit status 1")
	assert.ErrorContains(t, err, "Cannot find package 'sharp'")
	assert.ErrorContains(t, err, "make engine")
}

func TestReadReportsWhatTheChildCannotDo(t *testing.T) {
	t.Parallel()
	e, starts := startPlayed(t, 1, "unreadable")
	_, err := e.Read(t.Context(), []byte("x"))
	require.ErrorIs(t, err, ErrUnreadable)
	assert.ErrorContains(t, err, "no such format")

	e, _ = startPlayed(t, 1, "fails")
	_, err = e.Read(t.Context(), []byte("x"))
	assert.ErrorContains(t, err, "out of memory")
	assert.NotErrorIs(t, err, ErrUnreadable)
	assert.EqualValues(t, 1, starts.Load(), "such an answer is no reason for a new child")
}

func TestReadReportsAChildThatCannotBeStarted(t *testing.T) {
	t.Parallel()
	e := start(t.Context(), Config{}, func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, filepath.Join(t.TempDir(), "absent"))
	})
	_, err := e.Read(t.Context(), []byte("x"))
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, e.Close())
}

func TestReadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	e, _ := startPlayed(t, 1, "silent")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := e.Read(ctx, []byte("x")) // the worker takes it
	require.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = e.Read(ctx, []byte("x")) // no worker is free
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// signal passes log lines on.
type signal chan string

func (s signal) Write(p []byte) (int, error) {
	s <- string(p)
	return len(p), nil
}

func TestCloseEndsWaitingReadsAndTheChild(t *testing.T) {
	t.Parallel()
	var cmd *exec.Cmd
	started := make(signal, 8)
	e := start(context.Background(), Config{Log: slog.New(slog.NewTextHandler(started, &slog.HandlerOptions{Level: slog.LevelDebug}))},
		func(ctx context.Context) *exec.Cmd {
			cmd = exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), childMode+"=silent")
			return cmd
		})
	assert.Contains(t, <-started, "a library says hello", "what the child prints to stderr is logged")
	read := make(chan error, 1)
	go func() {
		_, err := e.Read(context.Background(), []byte("x"))
		read <- err
	}()
	require.NoError(t, e.Close())
	require.ErrorIs(t, <-read, ErrClosed)
	assert.NotNil(t, cmd.ProcessState, "Close waits for the child's end")
	require.NoError(t, e.Close(), "closing twice does no harm")
	_, err := e.Read(context.Background(), []byte("x"))
	require.ErrorIs(t, err, ErrClosed)
}

func TestTheEndOfStartsContextClosesTheEngine(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	e := start(ctx, Config{}, func(ctx context.Context) *exec.Cmd {
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), childMode+"=silent")
		return cmd
	})
	cancel()
	_, err := e.Read(t.Context(), []byte("x"))
	require.ErrorIs(t, err, ErrClosed)
	require.NoError(t, e.Close())
}

func TestStartSaysHowToInstallTheEngine(t *testing.T) {
	t.Parallel()
	empty, bare := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(bare, script), nil, 0o600))
	for name, dir := range map[string]string{"an empty folder": empty, "a folder without node_modules": bare} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Start(t.Context(), Config{Dir: dir})
			require.ErrorIs(t, err, ErrNotInstalled)
			assert.ErrorContains(t, err, "make engine")
		})
	}
}

func TestStartRefusesANegativeNumberOfWorkers(t *testing.T) {
	t.Parallel()
	_, err := Start(t.Context(), Config{Workers: -1})
	assert.ErrorContains(t, err, "0 (for one) or more")
}

func TestTheReaderEndsWithItsInputAndPrintsAnswersOnly(t *testing.T) {
	t.Parallel()
	node, err := installed(DefaultDir())
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), node, script)
	cmd.Dir = DefaultDir()
	cmd.Stdin = strings.NewReader(`{"id":7,"image":"eA=="}` + "\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	assert.JSONEq(t, `{"id":7,"error":{"code":"unreadable","message":"Input buffer contains unsupported image format"}}`, string(out))
}

const cards = "../../../testdata/cards"

func readSpecimen(t *testing.T, file string) (picture []byte, want Card) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cards, "truth.json"))
	require.NoError(t, err)
	var truth []struct {
		Card
		File string
	}
	require.NoError(t, json.Unmarshal(data, &truth))
	for _, card := range truth {
		if card.File == file {
			picture, err = os.ReadFile(filepath.Join(cards, file))
			require.NoError(t, err)
			return picture, card.Card
		}
	}
	require.Fail(t, "no such specimen", file)
	return nil, Card{}
}

// TestReadReadsPictures shares one real engine among its cases.
func TestSpecimensAreReadAsTheyArePrinted(t *testing.T) {
	t.Parallel()
	e, err := Start(t.Context(), Config{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, e.Close()) }()

	specimens, err := filepath.Glob(filepath.Join(cards, "*.jpg"))
	require.NoError(t, err)
	require.Len(t, specimens, 5)
	for _, path := range specimens {
		t.Run(filepath.Base(path), func(t *testing.T) {
			picture, want := readSpecimen(t, filepath.Base(path))
			got, err := e.Read(t.Context(), picture)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}

	t.Run("a phone's HEIC becomes a JPEG", func(t *testing.T) {
		heic, err := os.ReadFile("testdata/scan-01.heic")
		require.NoError(t, err)
		picture, err := e.JPEG(t.Context(), heic)
		require.NoError(t, err)
		_, err = jpeg.DecodeConfig(bytes.NewReader(picture))
		require.NoError(t, err)
		_, want := readSpecimen(t, "scan-01.jpg")
		got, err := e.Read(t.Context(), picture)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		_, err = e.JPEG(t.Context(), heic[:len(heic)/2])
		assert.ErrorIs(t, err, ErrUnreadable)
		_, err = e.JPEG(t.Context(), []byte("no picture"))
		assert.ErrorIs(t, err, ErrUnreadable)
	})

	scan, want := readSpecimen(t, "scan-04.jpg")
	decoded, err := jpeg.Decode(bytes.NewReader(scan))
	require.NoError(t, err)
	onItsSide := encodeJPEG(t, turned(decoded))
	for name, picture := range map[string][]byte{
		"a card on its side":         onItsSide,
		"a card upright by its EXIF": withOrientation(onItsSide, 6),
		"a BMP":                      encodeBMP(t, decoded),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := e.Read(t.Context(), picture)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		})
	}

	t.Run("a picture without a card is an empty card", func(t *testing.T) {
		blank := image.NewGray(image.Rect(0, 0, 400, 300))
		draw.Draw(blank, blank.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
		var out bytes.Buffer
		require.NoError(t, png.Encode(&out, blank))
		got, err := e.Read(t.Context(), out.Bytes())
		require.NoError(t, err)
		assert.Empty(t, got)
	})

	for name, test := range map[string]struct {
		picture []byte
		says    string
	}{
		"no picture":       {[]byte("hello"), "unsupported image format"},
		"no bytes":         {nil, "empty"},
		"a cut JPEG":       {scan[:len(scan)/2], "end of"},
		"an SVG":           {[]byte(`<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>`), "unsupported image format"},
		"a PNG bomb":       {pngOfSize(t, 30000, 30000), "30000 x 30000 pixels, at most 120000000"},
		"a BMP bomb":       {bmpOfSize(t, 30000, 30000), "30000 x 30000 pixels, at most 120000000"},
		"a small BMP bomb": {bmpOfSize(t, 10000, 10000), "10000 x 10000 pixels in 310 bytes"},
		"the start of BMP": {[]byte("BM"), "EOF"},
	} {
		t.Run(name+" is unreadable", func(t *testing.T) {
			_, err := e.Read(t.Context(), test.picture)
			require.ErrorIs(t, err, ErrUnreadable)
			assert.ErrorContains(t, err, test.says)
		})
	}
}

// turned returns the picture turned to the left.
func turned(from image.Image) image.Image {
	size := from.Bounds().Size()
	to := image.NewRGBA(image.Rect(0, 0, size.Y, size.X))
	for y := range size.Y {
		for x := range size.X {
			to.Set(y, size.X-1-x, from.At(x, y))
		}
	}
	return to
}

func encodeJPEG(t *testing.T, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, picture, &jpeg.Options{Quality: 92}))
	return out.Bytes()
}

func encodeBMP(t *testing.T, picture image.Image) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, bmp.Encode(&out, picture))
	return out.Bytes()
}

// withOrientation puts an EXIF block that holds the orientation alone behind the JPEG's first marker.
func withOrientation(picture []byte, orientation byte) []byte {
	exif := append([]byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00"), orientation, 0, 0, 0, 0, 0, 0)
	block := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(exif)+2))
	return bytes.Join([][]byte{picture[:2], block, exif, picture[2:]}, nil)
}

// pngOfSize returns a small PNG whose header claims another size.
func pngOfSize(t *testing.T, width, height uint32) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, image.NewGray(image.Rect(0, 0, 8, 8))))
	data := out.Bytes()
	header := data[12:29] // chunk type and content
	binary.BigEndian.PutUint32(header[4:], width)
	binary.BigEndian.PutUint32(header[8:], height)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(header))
	return data
}

func bmpOfSize(t *testing.T, width, height uint32) []byte {
	t.Helper()
	data := encodeBMP(t, image.NewRGBA(image.Rect(0, 0, 8, 8)))
	binary.LittleEndian.PutUint32(data[18:], width)
	binary.LittleEndian.PutUint32(data[22:], height)
	return data
}

func TestDefaultDirIsFoundFromWithinTheCheckout(t *testing.T) {
	t.Parallel()
	_, err := os.Stat(filepath.Join(DefaultDir(), script))
	assert.NoError(t, err)
}
