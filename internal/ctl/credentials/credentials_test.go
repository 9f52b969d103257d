package credentials

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// alone keeps this machine's own credentials away.
func alone(t *testing.T) (home string) {
	home = t.TempDir()
	for name, value := range map[string]string{
		"HOME": home, "ALIBABA_CLOUD_ACCESS_KEY_ID": "", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "", "ALIBABA_CLOUD_SECURITY_TOKEN": "", "ALIBABA_CLOUD_PROFILE": "",
		"ALIBABA_CLOUD_CONFIG_FILE": "", "ALIBABA_CLOUD_CREDENTIALS_FILE": "", "ALIBABA_CLOUD_CREDENTIALS_URI": "", "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
		"ALIBABA_CLOUD_OIDC_TOKEN_FILE": "", "ALIBABA_CLOUD_ROLE_ARN": "", "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "",
	} {
		t.Setenv(name, value)
	}
	return home
}

func TestTheEnvironmentComesFirst(t *testing.T) {
	alone(t)
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "id")
	t.Setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "canary-secret")
	t.Setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "canary-token")
	c, err := Chain("")(t.Context())
	require.NoError(t, err)
	assert.Equal(t, Credentials{"id", "canary-secret", "canary-token"}, c)
	assert.NotContains(t, fmt.Sprintf("%v %+v %#v %s", c, c, c, c), "canary")
}

func TestAProfileIsFoundInTheFilesOfTheVendorsTools(t *testing.T) {
	home := alone(t)
	require.NoError(t, os.MkdirAll(filepath.Join(home, ".aliyun"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".aliyun", "config.json"),
		[]byte(`{"current":"x","profiles":[{"name":"ops","mode":"AK","access_key_id":"cli-id","access_key_secret":"s"}]}`), 0o600))
	c, err := Chain("ops")(t.Context())
	require.NoError(t, err)
	assert.Equal(t, "cli-id", c.AccessKeyID)
}

func TestNoCredentialsIsAnErrorWithItsFix(t *testing.T) {
	home := alone(t)
	_, err := Chain("")(t.Context())
	assert.ErrorIs(t, err, ErrNotFound)
	assert.ErrorContains(t, err, "ALIBABA_CLOUD_ACCESS_KEY_ID")
	require.NoError(t, os.MkdirAll(filepath.Join(home, ".aliyun"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(home, ".aliyun", "config.json"), []byte(`{"profiles":[{"name":"canary-other","mode":"AK"}]}`), 0o600))
	_, err = Chain("ops")(t.Context())
	assert.ErrorIs(t, err, ErrNotFound)
	assert.ErrorContains(t, err, `"ops"`)
	assert.NotContains(t, err.Error(), "canary")
}
