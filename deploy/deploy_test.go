package deploy

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"encoding/json"
	"fmt"
	"io"
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
				assert.Contains(t, p.InstanceLifecycleConfig, "initializer")
				_, stops := p.InstanceLifecycleConfig["preStop"]
				assert.Equal(t, file == "s.custom.yaml", stops, "a hook that the function does not register ends its instances with an error")
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

	raw, err := os.ReadFile("ram-policy.json")
	require.NoError(t, err)
	// The words that a user replaces in the file are parameters and fixed names in the template.
	filled := strings.NewReplacer("BUCKET/PREFIX", "${BucketName}/${ImagePrefix}", "QUEUE", "idcard-ocr-failures",
		"LOG_PROJECT", "fc-idcard-ocr-${ALIYUN::TenantId}-${ALIYUN::Region}").Replace(string(raw))
	var policy document
	require.NoError(t, yaml.Unmarshal([]byte(filled), &policy)) // JSON is YAML
	role := template.Resources["FunctionRole"].Properties
	var granted struct {
		Policies []struct {
			PolicyDocument document `yaml:"PolicyDocument"`
		} `yaml:"Policies"`
	}
	require.NoError(t, role.Decode(&granted))
	require.Len(t, granted.Policies, 1)
	assert.Equal(t, policy, granted.Policies[0].PolicyDocument)

	queue := map[string]any{}
	properties := template.Resources["FailureQueue"].Properties
	require.NoError(t, properties.Decode(&queue))
	assert.LessOrEqual(t, queue["MessageRetentionPeriod"], 604800, "a queue keeps messages for a week at most")
	assert.Contains(t, text, "/queues/"+fmt.Sprint(queue["QueueName"])+"/messages")
}

// document is a RAM policy.
type document struct {
	Version   string `yaml:"Version"`
	Statement []struct {
		Effect   string `yaml:"Effect"`
		Action   texts  `yaml:"Action"`
		Resource texts  `yaml:"Resource"`
	} `yaml:"Statement"`
}

// texts is one text or a list of them, each perhaps in an Fn::Sub of ROS.
type texts []string

func (l *texts) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		for _, item := range node.Content {
			if err := l.UnmarshalYAML(item); err != nil {
				return err
			}
		}
		return nil
	}
	if node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[0].Value == "Fn::Sub" {
		node = node.Content[1]
	}
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: neither a text nor an Fn::Sub of one", node.Line)
	}
	*l = append(*l, node.Value)
	return nil
}

// The policy grants what the function does and no more: it reads below the prefix, writes names of its own, deletes claims.
func TestPolicyIsTheLeast(t *testing.T) {
	var policy document
	read(t, "deploy/ram-policy.json", &policy)
	actions := map[string][]string{}
	for _, statement := range policy.Statement {
		assert.Equal(t, "Allow", statement.Effect)
		for _, action := range statement.Action {
			assert.NotContains(t, action, "*")
			actions[action] = append(actions[action], statement.Resource...)
		}
	}
	defaults, err := config.Parse([]string{"OCR_APP_CODE=x"})
	require.NoError(t, err)
	below := "acs:oss:*:*:BUCKET/PREFIX*"
	assert.Equal(t, map[string][]string{
		"oss:GetObject":        {below},
		"oss:PutObject":        {below + defaults.ResultSuffix, below + defaults.ClaimSuffix}, // AppendObject is this action too
		"oss:DeleteObject":     {below + defaults.ClaimSuffix},
		"mns:SendMessage":      {"acs:mns:*:*:/queues/QUEUE/messages"},
		"log:PostLogStoreLogs": {"acs:log:*:*:project/LOG_PROJECT/logstore/fc-idcard-ocr"},
	}, actions)
}

func TestEventBridgeTriggerTakesEverySuffix(t *testing.T) {
	var triggers []struct {
		TriggerType   string `yaml:"triggerType"`
		TriggerConfig struct {
			AsyncInvocationType    bool   `yaml:"asyncInvocationType"`
			EventRuleFilterPattern string `yaml:"eventRuleFilterPattern"`
		} `yaml:"triggerConfig"`
	}
	read(t, "deploy/eventbridge-trigger.yaml", &triggers)
	require.Len(t, triggers, 1)
	assert.Equal(t, "eventbridge", triggers[0].TriggerType)
	assert.True(t, triggers[0].TriggerConfig.AsyncInvocationType, "retries are for asynchronous invocations")
	var pattern struct {
		Source, Type []string
		Subject      []map[string]string
		Data         struct {
			OSS struct {
				Object struct{ Key []map[string]string }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(triggers[0].TriggerConfig.EventRuleFilterPattern), &pattern))
	assert.Equal(t, []string{"acs.oss"}, pattern.Source)
	assert.ElementsMatch(t, []string{"oss:ObjectCreated:PutObject", "oss:ObjectCreated:PostObject", "oss:ObjectCreated:CompleteMultipartUpload", "oss:ObjectCreated:CopyObject"}, pattern.Type)
	require.Len(t, pattern.Subject, 1)
	assert.Equal(t, "acs:oss:${env('REGION')}:${env('ACCOUNT_ID')}:${env('BUCKET')}/${env('IMAGE_PREFIX', '')}", pattern.Subject[0]["prefix"])
	defaults, err := config.Parse([]string{"OCR_APP_CODE=x"})
	require.NoError(t, err)
	var want, got []string
	for _, suffix := range defaults.ImageSuffixes {
		want = append(want, suffix, strings.ToUpper(suffix))
	}
	for _, each := range pattern.Data.OSS.Object.Key {
		got = append(got, each["suffix"])
	}
	assert.ElementsMatch(t, want, got)
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

	entry, err := archive.File[0].Open()
	require.NoError(t, err)
	binary, err := io.ReadAll(entry)
	require.NoError(t, err)
	program, err := elf.NewFile(bytes.NewReader(binary))
	require.NoError(t, err)
	assert.Equal(t, elf.EM_X86_64, program.Machine)
	for _, segment := range program.Progs {
		assert.NotEqual(t, elf.PT_INTERP, segment.Type, "the executable is static")
	}
}
