// Package credentials finds the operator's credentials for Alibaba Cloud as the vendor's own tools do: environment, files with
// profiles, roles of the machine. It never prints a secret and never keeps one longer than the process.
package credentials

import (
	"context"
	"strings"

	"fc-idcard-ocr/internal/message"

	"github.com/aliyun/credentials-go/credentials/providers"
)

// Credentials sign requests. SecurityToken is empty for a long-term AccessKey.
type Credentials struct {
	AccessKeyID, AccessKeySecret, SecurityToken string
}

// String hides the secret parts; so does %#v.
func (c Credentials) String() string { return "credentials(hidden)" }

// GoString hides the secret parts from %#v.
func (c Credentials) GoString() string { return c.String() }

// Provider gives the credentials that are good now. Temporary ones are renewed, so ask for each request.
type Provider func(context.Context) (Credentials, error)

// ErrNotFound is wrapped by NotFound.
var ErrNotFound = message.Error("no credentials of Alibaba Cloud found")

// NotFound says that no credentials were found, and what helps.
type NotFound struct{ fix string }

func (e *NotFound) Error() string { return ErrNotFound.Error() + e.fix }

// Unwrap returns ErrNotFound.
func (e *NotFound) Unwrap() error { return ErrNotFound }

// Static is a Provider of credentials that are known.
func Static(c Credentials) Provider {
	return func(context.Context) (Credentials, error) { return c, nil }
}

// Chain finds credentials as the vendor's SDKs do. Without a profile: ALIBABA_CLOUD_ACCESS_KEY_ID and _SECRET, an OIDC role,
// ~/.aliyun/config.json (of the aliyun command), ~/.alibabacloud/credentials, the role of the ECS instance,
// ALIBABA_CLOUD_CREDENTIALS_URI. A profile is looked for in the two files only.
func Chain(profile string) Provider {
	if profile == "" {
		return newProvider(func() (providers.CredentialsProvider, error) { return providers.NewDefaultCredentialsProvider(), nil },
			message.Text("; set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, run `aliyun configure`, or name a profile with --profile"))
	}
	fix := message.Sprintf("; there is no usable profile %q in ~/.aliyun/config.json or ~/.alibabacloud/credentials; run `aliyun configure --profile %s`", profile, profile)
	return newProvider(func() (providers.CredentialsProvider, error) {
		cli, err := providers.NewCLIProfileCredentialsProviderBuilder().WithProfileName(profile).Build()
		if err == nil {
			if _, err = cli.GetCredentials(); err == nil {
				return cli, nil
			}
		}
		return providers.NewProfileCredentialsProviderBuilder().WithProfileName(profile).Build()
	}, fix)
}

// newProvider asks the vendor's provider, which renews temporary credentials itself. Its error texts list each thing it tried and can
// quote what a file or a server said, so only a plain account of them is passed on.
func newProvider(build func() (providers.CredentialsProvider, error), fix string) Provider {
	var provider providers.CredentialsProvider
	gate := make(chan struct{}, 1)
	return func(ctx context.Context) (Credentials, error) {
		select {
		case gate <- struct{}{}:
			defer func() { <-gate }()
		case <-ctx.Done():
			return Credentials{}, ctx.Err()
		}
		if provider == nil {
			p, err := build()
			if err != nil {
				return Credentials{}, &NotFound{fix}
			}
			provider = p
		}
		c, err := provider.GetCredentials()
		if err != nil || strings.TrimSpace(c.AccessKeyId) == "" {
			return Credentials{}, &NotFound{fix}
		}
		return Credentials{AccessKeyID: c.AccessKeyId, AccessKeySecret: c.AccessKeySecret, SecurityToken: c.SecurityToken}, nil
	}
}
