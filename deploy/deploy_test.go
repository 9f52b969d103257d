package deploy

import (
	"archive/zip"
	"bytes"
	"debug/elf"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fc-idcard-ocr/internal/config"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// trigger is what the files say of one OSS trigger.
type trigger struct {
	Events events `yaml:"events"`
	Filter struct {
		Key map[string]any `yaml:"key"`
	} `yaml:"filter"`
}

// events are those of a trigger. In template.yml a condition chooses: first those for RemoveWithImage, then those without.
type events struct{ created, withRemovals []string }

func (e *events) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.SequenceNode {
		return node.Decode(&e.created)
	}
	var choice struct {
		If []yaml.Node `yaml:"Fn::If"`
	}
	if err := node.Decode(&choice); err != nil {
		return err
	}
	if len(choice.If) != 3 || choice.If[0].Value != "RemoveWithImage" {
		return fmt.Errorf("line %d: neither a list nor a choice by RemoveWithImage", node.Line)
	}
	return errors.Join(choice.If[1].Decode(&e.withRemovals), choice.If[2].Decode(&e.created))
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
		assert.ElementsMatch(t, []string{"oss:ObjectCreated:PutObject", "oss:ObjectCreated:PostObject", "oss:ObjectCreated:CompleteMultipartUpload", "oss:ObjectCreated:CopyObject"}, each.Events.created)
		if each.Events.withRemovals != nil {
			assert.Equal(t, append(slices.Clone(each.Events.created), "oss:ObjectRemoved:DeleteObject", "oss:ObjectRemoved:DeleteObjects"), each.Events.withRemovals)
		}
	}
	assert.ElementsMatch(t, want, got)
	assert.LessOrEqual(t, len(got), 10, "a bucket takes ten")
	defaults, err := config.Parse([]string{"OCR_APP_CODE=x"})
	require.NoError(t, err)
	for _, suffix := range strings.Split(fmt.Sprint(suffixes), ",") {
		assert.Contains(t, defaults.ImageSuffixes, suffix)
	}
}

// notForOperators are variables of the function that a deployment does not carry: addresses that the platform gives, suffixes
// that triggers and policies fix, and the bucket of the budget, as a deployment has one bucket.
var notForOperators = []string{"OCR_ENDPOINT", "OSS_ENDPOINT", "OSS_URL_TTL", "RESULT_SUFFIX", "CLAIM_SUFFIX", "MAX_IMAGE_BYTES", "OCR_BUDGET_BUCKET"}

// checkEnvironment: a deployment carries every variable that an operator may want to set, and the Go runtime's number of
// processors where an instance works on one image at a time.
func checkEnvironment(t *testing.T, environment map[string]any, oneImageAtATime bool) {
	for _, name := range config.Names() {
		if !slices.Contains(notForOperators, name) {
			assert.Contains(t, environment, name)
		}
	}
	if oneImageAtATime {
		assert.Equal(t, "1", environment["GOMAXPROCS"])
	} else {
		assert.NotContains(t, environment, "GOMAXPROCS")
	}
	for name := range environment {
		assert.True(t, name == "GOMAXPROCS" || slices.Contains(config.Names(), name), "the function knows no variable %s", name)
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
				Access    string
				Resources map[string]struct {
					Props struct {
						Runtime              string
						Handler              string
						Code                 string
						Timeout              int
						EnvironmentVariables map[string]any `yaml:"environmentVariables"`
						InstanceConcurrency  int            `yaml:"instanceConcurrency"`
						ConcurrencyConfig    struct {
							ReservedConcurrency string `yaml:"reservedConcurrency"`
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
			assert.Empty(t, s.Access, "Serverless Devs resolves no expression in access")
			for _, resource := range s.Resources {
				p := resource.Props
				checkEnvironment(t, p.EnvironmentVariables, file == "s.yaml")
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
				assert.Equal(t, "${env('PACKAGE', './dist/fc-idcard-ocr.zip')}", p.Code)
				assert.NotEmpty(t, p.ConcurrencyConfig.ReservedConcurrency)
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
			base, err := os.ReadFile("base.yaml")
			require.NoError(t, err)
			for _, variable := range regexp.MustCompile(`env\('(\w+)'`).FindAllStringSubmatch(text+string(base), -1) {
				if name := variable[1]; !strings.HasSuffix(name, "_COMPONENT") {
					assert.Contains(t, string(example), name+"=", "a variable is in .env.example")
				}
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
	for _, secret := range []string{"OcrAppKey", "OcrAppSecret", "OcrAppCode"} {
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
			checkEnvironment(t, properties.EnvironmentVariables, true)
			suffixes = properties.EnvironmentVariables["IMAGE_SUFFIXES"]
		}
	}
	checkTriggers(t, triggers, suffixes)

	raw, err := os.ReadFile("ram-policy.json")
	require.NoError(t, err)
	// The words that a user replaces in the file are parameters and fixed names in the template.
	filled := strings.NewReplacer("BUCKET", "${BucketName}", "PREFIX", "${ImagePrefix}", "QUEUE", "idcard-ocr-failures${NameSuffix}",
		"LOG_PROJECT", "${Project}", "LOG_STORE", "${LogStore}").Replace(string(raw))
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

	raw, err = os.ReadFile("removal-policy.json")
	require.NoError(t, err)
	var removal document
	require.NoError(t, yaml.Unmarshal([]byte(strings.ReplaceAll(string(raw), "BUCKET/PREFIX", "${BucketName}/${ImagePrefix}")), &removal))
	var more struct {
		PolicyDocument document `yaml:"PolicyDocument"`
	}
	added := template.Resources["RemovalPolicy"].Properties
	require.NoError(t, added.Decode(&more))
	assert.Equal(t, removal, more.PolicyDocument)

	queue := map[string]any{}
	properties := template.Resources["FailureQueue"].Properties
	require.NoError(t, properties.Decode(&queue))
	assert.LessOrEqual(t, queue["MessageRetentionPeriod"], 604800, "a queue keeps messages for a week at most")
	for name, parameter := range template.Parameters {
		assert.Contains(t, parameter, "Label", name)
		for _, words := range []string{"Label", "Description"} {
			if languages, ok := parameter[words].(map[string]any); ok {
				assert.ElementsMatch(t, []string{"en", "zh-cn"}, slices.Collect(maps.Keys(languages)), "%s: a comma in a text without quotes begins another key", name)
			}
		}
		assert.Regexp(t, `Ref: `+name+`\}|\$\{`+name+`\}`, text, "the template uses it")
		assert.Regexp(t, `Parameters: \[.*\b`+name+`\b`, text, "it stands in a group of the console")
	}
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

// texts is one text or a list of them, each perhaps in an Fn::Sub or Fn::If of ROS.
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
	if node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[0].Value == "Fn::If" {
		return l.UnmarshalYAML(node.Content[1].Content[1]) // what holds if the template makes the thing
	}
	if node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[0].Value == "Fn::Sub" {
		node = node.Content[1]
		if node.Kind == yaml.SequenceNode { // the text, then what it names
			node = node.Content[0]
		}
	}
	if node.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: neither a text nor an Fn::Sub of one", node.Line)
	}
	*l = append(*l, node.Value)
	return nil
}

// grants are the resources that a policy allows or denies, by action.
func grants(t *testing.T, file string) (allowed, denied map[string][]string) {
	var policy document
	read(t, file, &policy)
	allowed, denied = map[string][]string{}, map[string][]string{}
	for _, statement := range policy.Statement {
		into := allowed
		if statement.Effect == "Deny" {
			into = denied
		}
		for _, action := range statement.Action {
			assert.NotContains(t, action, "*")
			into[action] = append(into[action], statement.Resource...)
		}
	}
	return allowed, denied
}

// The policy grants what the function does and no more: it reads below the prefix, writes names of its own, deletes claims.
func TestPolicyIsTheLeast(t *testing.T) {
	actions, denied := grants(t, "deploy/ram-policy.json")
	assert.Empty(t, denied)
	defaults, err := config.Parse([]string{"OCR_APP_CODE=x"})
	require.NoError(t, err)
	below := "acs:oss:*:*:BUCKET/PREFIX*"
	// The day's budget and the index of paid pictures. Their keys end like documents and claims, which no image does.
	const shared = "acs:oss:*:*:BUCKET/.fc-idcard-ocr/*"
	own := []string{below + defaults.ResultSuffix, below + defaults.ClaimSuffix, shared + defaults.ResultSuffix, shared + defaults.ClaimSuffix}
	assert.Equal(t, map[string][]string{
		"oss:GetObject":        {below, shared},
		"oss:GetObjectVersion": {below, shared}, // a signed URL with versionId needs it
		"oss:PutObject":        own,             // AppendObject is this action too
		"oss:PutObjectTagging": own,
		"oss:DeleteObject":     {below + defaults.ClaimSuffix},
		"mns:SendMessage":      {"acs:mns:*:*:/queues/QUEUE/messages"},
		"log:PostLogStoreLogs": {"acs:log:*:*:project/LOG_PROJECT/logstore/LOG_STORE"},
	}, actions)
}

// Who uploads images cannot read what was recognised or reviewed, nor write or delete it: a document of somebody else would count as
// the function's, a review as a person's, and a deleted document is paid again.
func TestUploadersHaveNoRightsOnDocumentsClaimsAndReviews(t *testing.T) {
	allowed, denied := grants(t, "deploy/uploader-policy.json")
	for action, resources := range allowed {
		assert.Equal(t, []string{"acs:oss:*:*:BUCKET/PREFIX*"}, resources, action)
	}
	own, _ := grants(t, "deploy/ram-policy.json")
	notTheirs := append(own["oss:PutObject"], "acs:oss:*:*:BUCKET/PREFIX*"+config.ReviewSuffix)
	for _, action := range []string{"oss:GetObject", "oss:PutObject", "oss:DeleteObject", "oss:PutObjectTagging"} {
		assert.ElementsMatch(t, notTheirs, denied[action], action)
	}
}

// A deployer's key that leaks reaches what this project deploys, and nothing else of the account.
func TestDeployersHaveTheLeastRights(t *testing.T) {
	allowed, denied := grants(t, "deploy/deployer-policy.json")
	assert.Empty(t, denied)
	ofNoResource := []string{"fc:GetTempBucketToken", "fc:ListFunctions", "cms:PutResourceMetricRule", "cms:DescribeMetricRuleList", "cms:DeleteMetricRules"}
	for action, resources := range allowed {
		if slices.Contains(ofNoResource, action) {
			assert.Equal(t, []string{"*"}, resources, action)
			continue
		}
		for _, resource := range resources {
			assert.Regexp(t, `idcard-ocr|BUCKET$|^acs:oss:\*:\*:\*$|^acs:ros:REGION:\*:stack/\*$`, resource, action)
			if resource == "acs:oss:*:*:*" {
				assert.Contains(t, []string{"oss:ListBuckets", "oss:ListBucket"}, action, "of all buckets only their names")
			}
		}
	}
	assert.Equal(t, []string{"acs:ram:*:*:role/idcard-ocr*"}, allowed["ram:PassRole"])
	assert.NotContains(t, allowed, "fc:InvokeFunction", "who deploys needs no right to pay")
	assert.NotContains(t, allowed, "oss:GetObject", "who deploys needs no right to read images")
	// What the template makes, ROS makes with the deployer's rights.
	var template struct {
		Resources map[string]struct {
			Type string `yaml:"Type"`
		} `yaml:"Resources"`
	}
	read(t, "template.yml", &template)
	for _, resource := range template.Resources {
		var services []string
		for action := range allowed {
			service, _, _ := strings.Cut(action, ":")
			services = append(services, service)
		}
		service := map[string]string{"FC3": "fc", "OSS": "oss", "SLS": "log", "RAM": "ram", "MNS": "mns", "CMS": "cms", "ROS": "ros"}[strings.Split(resource.Type, "::")[1]]
		assert.Contains(t, services, service, resource.Type)
	}
}

// The order matters: an event that arrives before the limit of instances or the failure destination is there is not held by them.
func TestTriggersAreMadeAfterTheirLimits(t *testing.T) {
	var template struct {
		Resources map[string]struct {
			Type      string `yaml:"Type"`
			DependsOn texts  `yaml:"DependsOn"`
		} `yaml:"Resources"`
	}
	read(t, "template.yml", &template)
	var waits func(name, other string) bool
	waits = func(name, other string) bool {
		for _, each := range template.Resources[name].DependsOn {
			if each == other || waits(each, other) {
				return true
			}
		}
		return false
	}
	for name, resource := range template.Resources {
		if resource.Type == "ALIYUN::FC3::Trigger" {
			assert.True(t, waits(name, "Concurrency") && waits(name, "AsyncInvoke"), name)
		}
	}
}

// What the dashboard and the alerts ask is what the documentation explains.
func TestQueriesOfTheTemplateAreThoseOfTheManual(t *testing.T) {
	var template struct {
		Mappings struct {
			Query map[string]struct {
				Text string `yaml:"text"`
			} `yaml:"Query"`
		} `yaml:"Mappings"`
	}
	read(t, "template.yml", &template)
	require.NotEmpty(t, template.Mappings.Query)
	for _, manual := range []string{"../docs/operations.md", "../docs/operations.zh-CN.md"} {
		text, err := os.ReadFile(manual)
		require.NoError(t, err)
		words := strings.Join(strings.Fields(string(text)), " ")
		for name, query := range template.Mappings.Query {
			assert.Contains(t, words, strings.Join(strings.Fields(query.Text), " "), "%s: %s", manual, name)
		}
	}
}

func TestLifecycleRulesMatchTheTagsOfWhatIsWritten(t *testing.T) {
	text, err := os.ReadFile("lifecycle.xml")
	require.NoError(t, err)
	var lifecycle struct {
		Rule []struct {
			ID, Status string
			Tag        struct{ Key, Value string }
			Expiration struct{ Days int }
		}
	}
	require.NoError(t, xml.Unmarshal(text, &lifecycle))
	require.Len(t, lifecycle.Rule, 2)
	for i, kind := range []string{"document", "claim"} {
		rule := lifecycle.Rule[i]
		assert.Equal(t, "fc-idcard-ocr", rule.Tag.Key, "of RESULT_TAGS")
		assert.Equal(t, kind, rule.Tag.Value)
		assert.Equal(t, "Enabled", rule.Status)
		assert.Positive(t, rule.Expiration.Days)
	}
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
	assert.Equal(t, "acs:oss:${env('REGION')}:${vars.account}:${env('BUCKET')}/${env('IMAGE_PREFIX', '')}", pattern.Subject[0]["prefix"])
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
