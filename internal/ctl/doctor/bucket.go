package doctor

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"fc-idcard-ocr/internal/config"
	"fc-idcard-ocr/internal/ctl/credentials"
	"fc-idcard-ocr/internal/ctl/ossclient"
)

func (t Target) bucket(ctx context.Context) Finding {
	if t.Bucket == nil {
		return skip("no bucket was named")
	}
	objects := 0
	for _, err := range t.Bucket.List(ctx, "", "") {
		if err != nil {
			return t.storeFailure(err, "oss:ListObjects")
		}
		objects++
		break
	}
	if _, err := t.Bucket.Read(ctx, "ocrctl-doctor-there-is-no-such-object", 1); err != nil && !ossclient.NotFound(err) {
		return t.storeFailure(err, "oss:GetObject")
	}
	if objects == 0 {
		return warn("upload a picture", "the bucket can be listed and read; it is empty")
	}
	return ok("the bucket can be listed and read")
}

func (t Target) storeFailure(err error, action string) Finding {
	var e *ossclient.Error
	if errors.Is(err, credentials.ErrNotFound) || !errors.As(err, &e) {
		return fail("set up credentials of Alibaba Cloud", "%v", err)
	}
	fix := "try again later"
	switch {
	case e.Code == "NoSuchBucket":
		fix = "correct --bucket and --region"
	case e.Code == "PublicEndpointForbidden" || e.EC == "0048-00000401":
		fix = customDomain
	case e.Code == "InvalidAccessKeyId" || e.Code == "SignatureDoesNotMatch":
		fix = correct
	case slices.Contains([]string{"SecurityTokenExpired", "InvalidSecurityToken", "AccessKeyIdAndSecurityTokenNotMatch"}, e.Code):
		fix = renew
	case e.Code == "RequestTimeTooSkewed":
		fix = setClock
	case e.Status == http.StatusForbidden:
		fix = "allow the RAM user or role " + action + " on the bucket; if it is, the region or endpoint is another bucket's"
	case e.Status == 0:
		fix = "check --region and --oss-endpoint, and the way out to them"
	}
	return fail(fix, "%v", err)
}

const customDomain = "accounts newer than 2025-03-20 cannot use the default public endpoint in mainland regions: bind a domain of your own to the bucket and set " +
	"OSS_PUBLIC_ENDPOINT=https://<domain> and OSS_PUBLIC_CNAME=true; or set OCR_IMAGE_SOURCE=data for the function, which needs no public address"

func (t Target) versioning(ctx context.Context) Finding {
	if t.Bucket == nil {
		return skip("no bucket was named")
	}
	state, err := t.Bucket.Versioning(ctx)
	switch {
	case err != nil:
		return skip("the bucket's versioning cannot be asked for (oss:GetBucketVersioning)")
	case state == "":
		return ok("off")
	}
	return warn("a lifecycle rule that removes previous versions and delete markers keeps claims and replaced documents from piling up", "versioning is %s: it works, and each image leaves an old version of its claim behind", strings.ToLower(state))
}

// signedURL fetches what the OCR provider would fetch, without credentials.
func (t Target) signedURL(ctx context.Context) Finding {
	switch {
	case t.Bucket == nil:
		return skip("no bucket was named")
	case t.Config.ImageSource == config.Data:
		return ok("not needed: OCR_IMAGE_SOURCE is data")
	}
	const key = "ocrctl-doctor-there-is-no-such-object"
	signed, err := t.Bucket.SignURL(ctx, key, 5*time.Minute)
	if err != nil {
		return skip("no URL can be signed")
	}
	u, err := url.Parse(signed)
	if err != nil {
		return skip("no URL can be signed")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, signed, nil)
	if err != nil {
		return skip("no URL can be signed")
	}
	response, err := t.HTTP.Do(r)
	if err != nil {
		return fail("check OSS_PUBLIC_ENDPOINT; a custom domain needs a certificate of its own in OSS", "%s, from which the provider fetches pictures, does not answer", u.Host)
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(response.Body, 16<<10))
	body := string(text)
	switch {
	case response.StatusCode == http.StatusNotFound && strings.Contains(body, "NoSuchKey"):
		return ok("%s serves signed URLs (asked for an object that is not there)", u.Host)
	case strings.Contains(body, "PublicEndpointForbidden") || strings.Contains(body, "0048-00000401"):
		return fail(customDomain, "%s refuses signed URLs of this account", u.Host)
	case response.StatusCode == http.StatusForbidden:
		return fail("allow oss:GetObject on the bucket; behind a CDN, bind the domain to the bucket directly", "%s refuses the signed URL (403)", u.Host)
	}
	return fail("check OSS_PUBLIC_ENDPOINT and OSS_PUBLIC_CNAME: what answers there is not the bucket", "%s answered with status %d", u.Host, response.StatusCode)
}
