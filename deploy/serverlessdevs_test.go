package deploy

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The canaries: secrets that Serverless Devs may neither print nor keep in readable form.
const (
	canarySecret    = "cAnArYAppSecret0123456789abcdefg"
	canaryAccessKey = "cAnArYAccessKeySecret0123456789"
)

// devs is Serverless Devs as an operator has it: the real command, with a home of its own, in a copy of this checkout's deployment files.
type devs struct {
	t        *testing.T
	bin      string // the folder of the command
	dir      string
	home     string
	environ  []string
	deployed string // a file to which the stand-in components write what they are told to deploy
}

func newDevs(t *testing.T) *devs {
	bin, err := filepath.Abs("testdata/serverless-devs/node_modules/.bin")
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(bin, "s")); err != nil {
		require.FailNow(t, "Serverless Devs is not installed: run `make deps`")
	}
	components, err := filepath.Abs("testdata/components")
	require.NoError(t, err)
	d := &devs{t: t, bin: bin, dir: t.TempDir(), home: t.TempDir()}
	d.deployed = filepath.Join(d.dir, "deployed.jsonl")
	for _, file := range []string{"s.yaml", "s.custom.yaml", "template.yml", "deploy/base.yaml", "deploy/pre-deploy.js", "deploy/same-account.js"} {
		d.copy(filepath.Join("..", file), file)
	}
	d.environ = []string{"HOME=" + d.home, "USERPROFILE=" + d.home, "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(),
		"FC3_COMPONENT=" + filepath.Join(components, "fc3"), "ROS_COMPONENT=" + filepath.Join(components, "ros"), "DEPLOYED=" + d.deployed}
	// Else each command starts another process in the background that asks the npm registry for a newer version.
	notifier := filepath.Join(d.home, ".s", "config", "update-notifier.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(notifier), 0o755))
	require.NoError(t, os.WriteFile(notifier, fmt.Appendf(nil, `{"lastUpdateCheck": %d}`, time.Now().UnixMilli()), 0o644))
	archive, err := functionPackage()
	require.NoError(t, err)
	d.write("fc-idcard-ocr.zip", archive)
	d.ok("config", "add", "--AccessKeyID", "LTAI0000", "--AccessKeySecret", canaryAccessKey, "--AccountID", "1234567890123456", "-a", "default")
	return d
}

// functionPackage is the function's package as a release holds it, built once.
var functionPackage = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "package")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "main")
	build := exec.Command("go", "build", "-o", program, "fc-idcard-ocr")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, output)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	archive := zip.NewWriter(&b)
	file, err := archive.Create("main")
	if err != nil {
		return "", err
	}
	if _, err := file.Write(content); err != nil {
		return "", err
	}
	err = archive.Close()
	return b.String(), err
})

func (d *devs) copy(from, to string) {
	content, err := os.ReadFile(from)
	require.NoError(d.t, err)
	d.write(to, string(content))
}

func (d *devs) write(name, content string) {
	path := filepath.Join(d.dir, filepath.FromSlash(name))
	require.NoError(d.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(d.t, os.WriteFile(path, []byte(content), 0o644))
}

// run runs s and fails if a canary is in what it prints or in a file that it leaves.
func (d *devs) run(args ...string) (output string, err error) {
	d.t.Helper()
	command := exec.CommandContext(d.t.Context(), filepath.Join(d.bin, "s"), args...)
	command.Dir, command.Env = d.dir, d.environ
	raw, err := command.CombinedOutput()
	assert.NotContains(d.t, string(raw), canarySecret, "printed by s %s", args[0])
	assert.NotContains(d.t, string(raw), canaryAccessKey, "printed by s %s", args[0])
	require.NoError(d.t, filepath.WalkDir(d.home, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		for _, canary := range []string{canarySecret, canaryAccessKey} {
			assert.NotContains(d.t, string(content), canary, "left in %s by s %s", path, args[0])
		}
		return err
	}))
	return string(raw), err
}

func (d *devs) ok(args ...string) string {
	d.t.Helper()
	output, err := d.run(args...)
	require.NoError(d.t, err, output)
	return output
}

// deployment is what a component was told to deploy.
type deployment struct {
	Component, Account string
	Props              struct {
		Role                 string
		Code                 string
		Parameters           map[string]string
		EnvironmentVariables map[string]string
		LogConfig            struct{ Project string }
		ConcurrencyConfig    struct{ ReservedConcurrency int }
		AsyncInvokeConfig    struct {
			DestinationConfig struct {
				OnSuccess, OnFailure map[string]string
			}
		}
		Triggers []struct{ TriggerType, SourceArn, InvocationRole string }
	}
}

// deployments returns what the components were told since the last call.
func (d *devs) deployments() (all []deployment) {
	text, err := os.ReadFile(d.deployed)
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(d.t, err)
	require.NoError(d.t, os.Remove(d.deployed))
	for line := range strings.Lines(string(text)) {
		var each deployment
		require.NoError(d.t, json.Unmarshal([]byte(line), &each))
		all = append(all, each)
	}
	return all
}

// The four steps of docs/deploy.md, without Go: the package of a release, a secret, three values and a key in .env.
func TestServerlessDevsDeploysInFourStepsAndKeepsSecretsToItself(t *testing.T) {
	t.Parallel()
	d := newDevs(t)
	d.write(".env", "REGION=cn-hangzhou\nBUCKET=cards\nLOG_PROJECT=auto\nOCR_APP_KEY=204000000\nPACKAGE=./fc-idcard-ocr.zip\n")
	d.ok("secret", "add", "--key", "OCR_APP_SECRET", "--value", canarySecret)
	for _, file := range []string{"s.yaml", "s.custom.yaml"} {
		output := d.ok("deploy", "-y", "-t", file)
		assert.Contains(t, output, "configuration ok")
		made := d.deployments()
		require.Len(t, made, 2, output)
		base, function := made[0], made[1]
		assert.Equal(t, "ros", base.Component, "what the function needs is made before it")
		assert.Equal(t, "false", base.Props.Parameters["WithFunction"])
		assert.Equal(t, "cards", base.Props.Parameters["BucketName"])
		assert.Equal(t, "false", base.Props.Parameters["CreateBucket"])
		p := function.Props
		assert.Equal(t, canarySecret, p.EnvironmentVariables["OCR_APP_SECRET"], "the function gets it")
		assert.Equal(t, "204000000", p.EnvironmentVariables["OCR_APP_KEY"])
		assert.Equal(t, "./fc-idcard-ocr.zip", p.Code)
		// The names are those that template.yml makes.
		assert.Equal(t, "idcard-ocr-cn-hangzhou", p.Role)
		assert.Equal(t, "fc-idcard-ocr-1234567890123456-cn-hangzhou", p.LogConfig.Project)
		assert.Equal(t, map[string]string{"destination": "acs:mns:cn-hangzhou:1234567890123456:/queues/idcard-ocr-failures/messages"}, p.AsyncInvokeConfig.DestinationConfig.OnFailure)
		assert.Empty(t, p.AsyncInvokeConfig.DestinationConfig.OnSuccess)
		assert.Positive(t, p.ConcurrencyConfig.ReservedConcurrency)
		for _, trigger := range p.Triggers {
			if trigger.TriggerType == "oss" {
				assert.Equal(t, "acs:ram::1234567890123456:role/idcard-ocr-trigger-cn-hangzhou", trigger.InvocationRole)
				assert.Equal(t, "acs:oss:cn-hangzhou:1234567890123456:cards", trigger.SourceArn)
			}
		}
	}
	assert.Contains(t, d.ok("preview"), "OCR_APP_SECRET", "the preview does not need its value")
	d.ok("verify")
	d.ok("verify", "-t", "s.custom.yaml")

	d.ok("secret", "add", "--key", "OCR_APP_SECRET", "--value", "another"+canarySecret, "-f")
	d.ok("deploy", "-y") // a rotation: the component shows the new properties
	d.deployments()
}

func TestNothingIsDeployedWithAWrongConfiguration(t *testing.T) {
	t.Parallel()
	d := newDevs(t)
	for _, test := range []struct {
		env  string
		want []string
	}{
		{"OCR_APP_KEY=204000000\nPACKAGE=./fc-idcard-ocr.zip\nBUCKET=cards\nREGION=cn-hangzhou\n", []string{"OCR_APP_SECRET: missing", "s secret add --key OCR_APP_SECRET"}},
		{"OCR_APP_SECRET=" + canarySecret + "\nOCR_APP_KEY=204000000\nPACKAGE=./fc-idcard-ocr.zip\nBUCKET=cards\nREGION=cn-hangzhou\n", []string{"OCR_APP_SECRET: missing"}},
		{"OCR_IMAGE_SOURCE=base64\nPACKAGE=./fc-idcard-ocr.zip\nBUCKET=cards\nREGION=cn-hangzhou\nFUNCTION_ROLE_ARN=acs:ram::6543210987654321:role/x\nFAILURE_DESTINATION=acs:mns:cn-hangzhou:1234567890123456:/queues/q\n",
			[]string{"4 problems", "OCR_APP_KEY: missing", "OCR_IMAGE_SOURCE: ", "FUNCTION_ROLE_ARN: is of account 6543210987654321", "FAILURE_DESTINATION: "}},
		{"PACKAGE=./absent.zip\nBUCKET=cards\nREGION=cn-hangzhou\n", []string{"./absent.zip, which does not exist"}},
		{"BUCKET=cards\nREGION=cn-hangzhou\n", []string{"PACKAGE=./fc-idcard-ocr.zip"}}, // no checkout: nothing to build from
	} {
		d.write(".env", test.env)
		output, err := d.run("deploy", "-y")
		require.Error(t, err, test.env)
		for _, words := range test.want {
			assert.Contains(t, output, words, test.env)
		}
		assert.Empty(t, d.deployments(), test.env)
	}
}

func TestAnotherAccountIsUsedForAllOrNothing(t *testing.T) {
	t.Parallel()
	d := newDevs(t)
	d.ok("config", "add", "--AccessKeyID", "LTAI0001", "--AccessKeySecret", canaryAccessKey, "--AccountID", "6543210987654321", "-a", "other")
	d.ok("secret", "add", "--key", "OCR_APP_CODE", "--value", canarySecret)
	const env = "REGION=cn-hangzhou\nBUCKET=cards\nPACKAGE=./fc-idcard-ocr.zip\nNAME_SUFFIX=-test\nSUCCESS_DESTINATION=acs:mns:cn-hangzhou:6543210987654321:/topics/done/messages\n"
	d.write(".env", env)
	output, err := d.run("deploy", "-y", "-a", "other")
	require.Error(t, err)
	assert.Contains(t, output, "put ACCESS=NAME into .env")
	assert.Empty(t, d.deployments())

	d.write(".env", env+"ACCESS=other\n")
	d.ok("deploy", "-y", "-a", "other")
	made := d.deployments()
	require.Len(t, made, 2)
	for _, each := range made {
		assert.Equal(t, "6543210987654321", each.Account)
	}
	assert.Equal(t, "-test", made[0].Props.Parameters["NameSuffix"])
	p := made[1].Props
	assert.Equal(t, "idcard-ocr-cn-hangzhou-test", p.Role)
	assert.Equal(t, canarySecret, p.EnvironmentVariables["OCR_APP_CODE"])
	assert.Equal(t, map[string]string{"destination": "acs:mns:cn-hangzhou:6543210987654321:/topics/done/messages"}, p.AsyncInvokeConfig.DestinationConfig.OnSuccess)
	assert.Equal(t, "acs:mns:cn-hangzhou:6543210987654321:/queues/idcard-ocr-failures-test/messages", p.AsyncInvokeConfig.DestinationConfig.OnFailure["destination"])
}

// A package that is fetched from an address cannot be run before the deployment: ocrctl checks, and if there is none, that is told.
func TestOcrctlChecksWhereThePackageCannotRun(t *testing.T) {
	t.Parallel()
	d := newDevs(t)
	d.ok("secret", "add", "--key", "OCR_APP_SECRET", "--value", canarySecret)
	const env = "REGION=cn-hangzhou\nBUCKET=cards\nPACKAGE=https://example.com/fc-idcard-ocr.zip\n"
	d.write(".env", env+"OCR_APP_KEY=204000000\n")
	assert.Contains(t, d.ok("deploy", "-y"), "The configuration is not checked")
	require.Len(t, d.deployments(), 2)

	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "ocrctl"), "fc-idcard-ocr/cmd/ocrctl")
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	d.environ[2] = "PATH=" + bin + string(os.PathListSeparator) + strings.TrimPrefix(d.environ[2], "PATH=")
	assert.Contains(t, d.ok("deploy", "-y"), "configuration ok")
	require.Len(t, d.deployments(), 2)
	d.write(".env", env)
	refused, err := d.run("deploy", "-y")
	require.Error(t, err)
	assert.Contains(t, refused, "OCR_APP_KEY: missing")
	assert.Empty(t, d.deployments())
}

// The application package of a release, made into a folder and deployed by the command that its users have.
func TestApplicationPackageDeploysAfterInit(t *testing.T) {
	t.Parallel()
	d := newDevs(t)
	dir := t.TempDir()
	pack := exec.Command("go", "run", "./deploy/pack", "-release", "-sbom=false", "-platforms=linux/amd64", dir)
	pack.Dir = ".."
	output, err := pack.CombinedOutput()
	require.NoError(t, err, string(output))
	archive := filepath.Join(dir, "fc-idcard-ocr-application.zip")

	d.copy(archive, "application.zip") // `s init` takes it away
	refused, _ := d.run("init", "--uri", "./application.zip", "-d", "incomplete", "-y", "--parameters", `{"region": "cn-shanghai"}`)
	assert.Contains(t, refused, "parameter bucket is required")
	d.copy(archive, "application.zip")
	d.ok("init", "--uri", "./application.zip", "-d", "cards", "-y", "--parameters", `{"region": "cn-shanghai", "bucket": "cards", "ocrAppKey": "204000000"}`)
	d.dir = filepath.Join(d.dir, "cards")
	d.ok("secret", "add", "--key", "OCR_APP_SECRET", "--value", canarySecret)
	assert.Contains(t, d.ok("deploy", "-y"), "configuration ok")
	made := d.deployments()
	require.Len(t, made, 2)
	assert.Equal(t, "cards", made[0].Props.Parameters["BucketName"])
	assert.Equal(t, "./fc-idcard-ocr.zip", made[1].Props.Code)
	assert.Equal(t, "204000000", made[1].Props.EnvironmentVariables["OCR_APP_KEY"])
	assert.Equal(t, "idcard-ocr-cn-shanghai", made[1].Props.Role)
	assert.FileExists(t, filepath.Join(d.dir, "fc-idcard-ocr.zip"))
	assert.NoFileExists(t, filepath.Join(d.dir, "publish.yaml"))
}

// What base.yaml hands to ROS are parameters of the template, and they are all that the function does not need.
func TestBaseHandsOverParametersOfTheTemplate(t *testing.T) {
	var template struct {
		Parameters map[string]any `yaml:"Parameters"`
	}
	read(t, "template.yml", &template)
	var base struct {
		Resources struct {
			Base struct {
				Props struct{ Parameters map[string]any }
			}
		}
	}
	read(t, "deploy/base.yaml", &base)
	require.NotEmpty(t, base.Resources.Base.Props.Parameters)
	for name := range base.Resources.Base.Props.Parameters {
		assert.Contains(t, template.Parameters, name)
	}
}
