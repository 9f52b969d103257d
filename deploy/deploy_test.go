// Package deploy holds what a deployment needs beside s.yaml and template.yml, and tests that all of it agrees.
package deploy

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/config"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// trigger is what the files say of one OSS trigger.
type trigger struct {
	Events []string `yaml:"events"`
	Filter struct {
		Key map[string]any `yaml:"key"`
	} `yaml:"filter"`
}

// checkTriggers: one for each suffix, in lower and upper case, within OSS's ten per bucket, after whole new objects only.
func checkTriggers(t *testing.T, triggers []trigger, suffixes any) {
	var want, got []string
	for suffix := range strings.SplitSeq(fmt.Sprint(suffixes), ",") {
		want = append(want, suffix, strings.ToUpper(suffix))
	}
	for _, each := range triggers {
		got = append(got, fmt.Sprint(each.Filter.Key["suffix"]))
		assert.Contains(t, each.Filter.Key, "prefix")
		assert.ElementsMatch(t, []string{"oss:ObjectCreated:PutObject", "oss:ObjectCreated:PostObject", "oss:ObjectCreated:CompleteMultipartUpload", "oss:ObjectCreated:CopyObject"}, each.Events)
	}
	assert.ElementsMatch(t, want, got)
	assert.LessOrEqual(t, len(got), 10, "a bucket takes ten")
	defaults, err := config.Parse([]string{"OCR_APP_CODE=x"})
	require.NoError(t, err)
	for _, suffix := range strings.Split(fmt.Sprint(suffixes), ",") {
		assert.Contains(t, defaults.ImageSuffixes, suffix)
	}
}

func checkEnvironment(t *testing.T, environment map[string]any) {
	for name := range environment {
		assert.Contains(t, config.Names(), name, "the function knows no such variable")
	}
}

func read(t *testing.T, file string, into any) string {
	text, err := os.ReadFile(filepath.Join("..", file))
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into))
	return string(text)
}

func TestServerlessDevsFiles(t *testing.T) {
	for _, file := range []string{"s.yaml", "s.custom.yaml"} {
		t.Run(file, func(t *testing.T) {
			var s struct {
				Resources map[string]struct {
					Actions map[string][]map[string]string
					Props   struct {
						Runtime              string
						Handler              string
						Code                 string
						Timeout              int
						EnvironmentVariables map[string]any `yaml:"environmentVariables"`
						InstanceConcurrency  int            `yaml:"instanceConcurrency"`
						ConcurrencyConfig    struct {
							ReservedConcurrency int `yaml:"reservedConcurrency"`
						} `yaml:"concurrencyConfig"`
						InstanceLifecycleConfig map[string]any `yaml:"instanceLifecycleConfig"`
						AsyncInvokeConfig       struct {
							MaxAsyncRetryAttempts     int `yaml:"maxAsyncRetryAttempts"`
							MaxAsyncEventAgeInSeconds int `yaml:"maxAsyncEventAgeInSeconds"`
							DestinationConfig         struct {
								OnFailure struct{ Destination string } `yaml:"onFailure"`
							} `yaml:"destinationConfig"`
						} `yaml:"asyncInvokeConfig"`
						Triggers []struct {
							TriggerType   string    `yaml:"triggerType"`
							TriggerConfig yaml.Node `yaml:"triggerConfig"`
						}
					}
				}
			}
			text := read(t, file, &s)
			require.Len(t, s.Resources, 1)
			for _, resource := range s.Resources {
				p := resource.Props
				checkEnvironment(t, p.EnvironmentVariables)
				var triggers []trigger
				for _, each := range p.Triggers {
					switch each.TriggerType {
					case "oss":
						var decoded trigger
						require.NoError(t, each.TriggerConfig.Decode(&decoded))
						triggers = append(triggers, decoded)
					case "http":
						var http map[string]any
						require.NoError(t, each.TriggerConfig.Decode(&http))
						assert.Equal(t, "function", http["authType"], "callers sign")
					}
				}
				checkTriggers(t, triggers, p.EnvironmentVariables["IMAGE_SUFFIXES"])
				assert.Equal(t, "make package", resource.Actions["pre-deploy"][0]["run"])
				assert.Equal(t, "./dist/fc-idcard-ocr.zip", p.Code)
				assert.Positive(t, p.ConcurrencyConfig.ReservedConcurrency)
				assert.LessOrEqual(t, p.AsyncInvokeConfig.MaxAsyncEventAgeInSeconds, 604800)
				assert.Positive(t, p.AsyncInvokeConfig.MaxAsyncEventAgeInSeconds)
				assert.NotEmpty(t, p.AsyncInvokeConfig.DestinationConfig.OnFailure.Destination)
				defaults, err := config.Parse([]string{"OCR_APP_CODE=x"})
				require.NoError(t, err)
				assert.Greater(t, p.Timeout, defaults.MaxAttempts*int(defaults.Timeout.Seconds()), "time for every attempt")
				assert.Equal(t, file == "s.custom.yaml", p.InstanceConcurrency > 1, "the Go runtime takes one invocation at a time")
				assert.Equal(t, file == "s.custom.yaml", len(p.InstanceLifecycleConfig) > 0, "hooks only where they are served")
				if file == "s.yaml" {
					assert.Equal(t, "go1", p.Runtime)
					assert.Equal(t, "main", p.Handler, "the executable in the package")
				}
			}
			example, err := os.ReadFile("../.env.example")
			require.NoError(t, err)
			for _, variable := range regexp.MustCompile(`env\('(\w+)'\)`).FindAllStringSubmatch(text, -1) {
				assert.Contains(t, string(example), variable[1]+"=", "a variable without default is in .env.example")
			}
		})
	}
}

func TestResourceTemplate(t *testing.T) {
	var template struct {
		Parameters map[string]map[string]any `yaml:"Parameters"`
		Resources  map[string]struct {
			Type       string    `yaml:"Type"`
			Properties yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	text := read(t, "template.yml", &template)
	for _, secret := range []string{"OcrAppKey", "OcrAppSecret"} {
		assert.Equal(t, true, template.Parameters[secret]["NoEcho"], secret)
	}
	var triggers []trigger
	var suffixes any
	for name, resource := range template.Resources {
		switch resource.Type {
		case "ALIYUN::FC3::Trigger":
			var properties struct {
				TriggerType   string    `yaml:"TriggerType"`
				TriggerConfig yaml.Node `yaml:"TriggerConfig"`
			}
			require.NoError(t, resource.Properties.Decode(&properties), name)
			if properties.TriggerType == "oss" {
				var decoded trigger
				require.NoError(t, properties.TriggerConfig.Decode(&decoded))
				triggers = append(triggers, decoded)
			}
		case "ALIYUN::FC3::Function":
			var properties struct {
				EnvironmentVariables map[string]any `yaml:"EnvironmentVariables"`
			}
			require.NoError(t, resource.Properties.Decode(&properties))
			checkEnvironment(t, properties.EnvironmentVariables)
			suffixes = properties.EnvironmentVariables["IMAGE_SUFFIXES"]
		}
	}
	checkTriggers(t, triggers, suffixes)

	var policy struct {
		Statement []struct{ Action, Resource any }
	}
	raw, err := os.ReadFile("ram-policy.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &policy))
	for _, statement := range policy.Statement {
		assert.Contains(t, text, fmt.Sprintf("Action: [%v]", statement.Action), "the template's role may do the same")
	}
	assert.Equal(t, len(policy.Statement), strings.Count(text, "Action: [")-1, "and no more; the other one is the trigger's")
}

func TestNoSecretIsCommitted(t *testing.T) {
	ignored, err := os.ReadFile("../.gitignore")
	require.NoError(t, err)
	assert.Contains(t, strings.Split(string(ignored), "\n"), "/.env")
	example, err := os.ReadFile("../.env.example")
	require.NoError(t, err)
	for line := range strings.Lines(string(example)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if strings.Contains(name, "SECRET") || strings.Contains(name, "KEY") || strings.Contains(name, "CODE") {
			assert.Empty(t, value, name)
		}
	}
}

func TestPackageIsReproducible(t *testing.T) {
	var packages [2][]byte
	for i := range packages {
		dir := t.TempDir()
		command := exec.Command("go", "run", "./pack", dir)
		output, err := command.CombinedOutput()
		require.NoError(t, err, string(output))
		packages[i], err = os.ReadFile(filepath.Join(dir, "fc-idcard-ocr.zip"))
		require.NoError(t, err)
	}
	assert.True(t, bytes.Equal(packages[0], packages[1]), "the same input gives the same bytes")
	archive, err := zip.NewReader(bytes.NewReader(packages[0]), int64(len(packages[0])))
	require.NoError(t, err)
	require.Len(t, archive.File, 1)
	assert.Equal(t, "main", archive.File[0].Name)
	assert.Equal(t, os.FileMode(0o755), archive.File[0].Mode())
	assert.LessOrEqual(t, len(packages[0]), 4<<20)
}
