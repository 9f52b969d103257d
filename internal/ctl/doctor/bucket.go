package doctor

import (
	"cmp"
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
	"fc-idcard-ocr/internal/message"
	"fc-idcard-ocr/internal/result"
)

// scratch is a key that no object has.
const scratch = "ocrctl-doctor-there-is-no-such-object"

func (e *examination) bucket(ctx context.Context) Finding {
	if e.Bucket == nil {
		return skip(noBucket)
	}
	objects := 0
	for _, err := range e.Bucket.List(ctx, "", "") {
		if err != nil {
			return storeFailure(err, "oss:ListObjects")
		}
		objects++
		break
	}
	if _, err := e.Bucket.Read(ctx, scratch, 1); err != nil && !ossclient.NotFound(err) {
		return storeFailure(err, "oss:GetObject")
	}
	if objects == 0 {
		return warn("upload a picture", "the bucket can be listed and read; it is empty")
	}
	return ok("the bucket can be listed and read")
}

func storeFailure(err error, action string) Finding {
	var e *ossclient.Error
	if errors.Is(err, credentials.ErrNotFound) || !errors.As(err, &e) {
		return fail("set up credentials of Alibaba Cloud", "%v", err)
	}
	fix := tryLater
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
		return fail("", "%v", err).fixedBy("allow the RAM user or role %s on the bucket; if it is, the region or endpoint is another bucket's", action)
	case e.Status == 0:
		fix = "check --region and --oss-endpoint, and the way out to them"
	}
	return fail(fix, "%v", err)
}

const customDomain message.Key = "accounts newer than 2025-03-20 cannot use the default public endpoint in mainland regions: bind a domain of your own to the bucket and set " +
	"OSS_PUBLIC_ENDPOINT=https://<domain> and OSS_PUBLIC_CNAME=true; or set OCR_IMAGE_SOURCE=data for the function, which needs no public address"

// unread is the finding if a setting of the bucket cannot be read.
func (e *examination) unread(err error, action string) Finding {
	if e.Bucket == nil {
		return skip(noBucket)
	}
	var failed *ossclient.Error
	if errors.As(err, &failed) && failed.Status == http.StatusForbidden && failed.Code == "AccessDenied" {
		return skip("not looked at: allow the RAM user or role %s on the bucket", action)
	}
	return skip("the bucket does not tell (%s)", action)
}

// publicAccess checks that nobody without a signature can read cards.
func (e *examination) publicAccess(ctx context.Context) Finding {
	if e.info == nil {
		return e.unread(e.infoErr, "oss:GetBucketInfo")
	}
	if e.info.ACL == "public-read" || e.info.ACL == "public-read-write" {
		return fail("set the bucket's ACL to private, and switch Block Public Access on", "the bucket's ACL is %s: everybody can read the pictures and cards in it", e.info.ACL)
	}
	public, err := e.Bucket.PolicyIsPublic(ctx)
	switch {
	case err == nil && public:
		return fail("take \"*\" out of the bucket policy's principals, and switch Block Public Access on", "the bucket policy lets everybody in")
	case !e.info.BlockPublicAccess:
		return warn("switch Block Public Access on for the bucket", "the bucket is private, but a wrong ACL or policy could open it or single objects to everybody: Block Public Access is off")
	case err != nil:
		return ok("the ACL is %s, and Block Public Access is on (the bucket policy was not looked at: oss:GetBucketPolicyStatus)", cmp.Or(e.info.ACL, "private"))
	}
	return ok("the ACL is %s, the policy is not public, and Block Public Access is on", cmp.Or(e.info.ACL, "private"))
}

func (e *examination) encryption(context.Context) Finding {
	switch {
	case e.info == nil:
		return e.unread(e.infoErr, "oss:GetBucketInfo")
	case e.info.KMSKeyID != "" && e.config.ResultEncryption == "":
		return fail("set RESULT_ENCRYPTION=KMS:<key id> for the function: documents get the key, and claims the one that KMS keeps for OSS",
			"new objects are encrypted with an own KMS key, and AppendObject, which makes the claims, takes none")
	case e.info.Encryption == "" && e.config.ResultEncryption == "":
		return warn("set the bucket's default encryption to AES256, which costs nothing", "pictures and documents are stored without server-side encryption")
	case e.info.Encryption == "":
		return warn("set the bucket's default encryption to AES256, which costs nothing", "documents are encrypted (RESULT_ENCRYPTION), pictures are not")
	}
	return ok("new objects are encrypted (%s)", e.info.Encryption)
}

func (e *examination) storageClass(context.Context) Finding {
	switch {
	case e.info == nil:
		return e.unread(e.infoErr, "oss:GetBucketInfo")
	case slices.Contains([]string{"Archive", "ColdArchive", "DeepColdArchive"}, e.info.StorageClass):
		return fail("use a bucket of class Standard; old pictures can be moved to colder classes by a lifecycle rule", "new objects are of class %s: a picture must be restored before it can be read", e.info.StorageClass)
	}
	return ok("new objects are of class %s", cmp.Or(e.info.StorageClass, "Standard"))
}

func (e *examination) retention(ctx context.Context) Finding {
	if e.Bucket == nil {
		return skip(noBucket)
	}
	days, err := e.Bucket.RetentionDays(ctx)
	switch {
	case err != nil:
		return e.unread(err, "oss:GetBucketWorm")
	case days > 0:
		return fail("use a bucket without a retention policy (WORM); keep what must be kept in another one", "objects cannot be changed or removed for %d days: claims cannot be continued, and nobody's data can be erased", days)
	}
	return ok("no retention policy")
}

// forDocuments reports whether a rule applies to every document of its prefix.
func (e *examination) forDocuments(r ossclient.Rule) bool {
	for name, value := range r.Tags {
		if !slices.Contains(e.config.ResultTags, name+"="+value) {
			return false
		}
	}
	return !r.Exceptions
}

func (e *examination) versioning(context.Context) Finding {
	switch {
	case e.info == nil:
		return e.unread(e.infoErr, "oss:GetBucketInfo")
	case e.info.Versioning == "":
		return ok("off")
	case e.lifecycleErr != nil:
		return e.unread(e.lifecycleErr, "oss:GetBucketLifecycle")
	}
	state := strings.ToLower(e.info.Versioning)
	if slices.ContainsFunc(e.lifecycle, func(r ossclient.Rule) bool { return r.NoncurrentDays > 0 && len(r.Tags) == 0 && !r.Exceptions }) {
		return ok("versioning is %s, and a lifecycle rule removes old versions", state)
	}
	return warn("add a lifecycle rule that removes previous versions after some days (NoncurrentVersionExpiration), or they are kept for ever", "versioning is %s: replaced and deleted pictures, documents and claims stay in the bucket as old versions", state)
}

// documentLifecycle searches for a rule that removes documents by their age, and for one that archives them.
func (e *examination) documentLifecycle(context.Context) Finding {
	if e.Bucket == nil || e.lifecycleErr != nil {
		return e.unread(e.lifecycleErr, "oss:GetBucketLifecycle")
	}
	removed := false
	for _, rule := range e.lifecycle {
		if !e.forDocuments(rule) {
			continue
		}
		removed = removed || rule.Expires
		if slices.ContainsFunc(rule.Classes, func(class string) bool { return strings.Contains(class, "Archive") }) {
			return warn("move pictures only, by a rule with their own prefix or tag", "a lifecycle rule moves documents to an archive class, in which nothing can read them")
		}
	}
	if !removed {
		return warn("add a lifecycle rule for the tag of documents (deploy/lifecycle.xml) or a retention in the template; rules match prefix and tag, never a suffix", "no lifecycle rule removes documents: cards are kept for ever")
	}
	return ok("a lifecycle rule removes documents by their age")
}

func (e *examination) accessLog(ctx context.Context) Finding {
	if e.Bucket == nil {
		return skip(noBucket)
	}
	to, err := e.Bucket.LogBucket(ctx)
	switch {
	case err != nil:
		return e.unread(err, "oss:GetBucketLogging")
	case to == "":
		return warn("switch the bucket's access log on (or real-time log query), to another bucket", "nobody can tell later who read a card")
	}
	return ok("to bucket %s", to)
}

// uploader checks with the uploader's credentials what they must not be allowed: to read and to write documents, claims and
// reviews. Nothing is written: the append names a position at which no object of that key can be.
func (e *examination) uploader(ctx context.Context) Finding {
	if e.Uploader == nil {
		return skip("name the uploader's credentials with --uploader-profile")
	}
	const fix message.Key = "give whoever uploads deploy/uploader-policy.json"
	for _, own := range []struct {
		what   message.Key
		suffix string
	}{{"documents", e.config.ResultSuffix}, {"claims", e.config.ClaimSuffix}, {"reviews", result.ReviewSuffix}} {
		key := scratch + ".jpg" + own.suffix
		if _, err := e.Uploader.Read(ctx, key, 1); err == nil || ossclient.NotFound(err) {
			return fail(fix, "the uploader can read %s (*%s)", message.Text(own.what), own.suffix)
		} else if ossclient.Configuration(err) && !refusedRight(err) || ossclient.Transient(err) {
			return storeFailure(err, "")
		}
		if err := e.Uploader.TryAppend(ctx, key); err == nil || !refusedRight(err) {
			return fail(fix, "the uploader can write %s (*%s), and so forge or block them", message.Text(own.what), own.suffix)
		}
	}
	return ok("the uploader can neither read nor write documents, claims and reviews")
}

// refusedRight reports that OSS refuses a request because the caller has no right to it.
func refusedRight(err error) bool {
	var e *ossclient.Error
	return errors.As(err, &e) && e.Status == http.StatusForbidden && e.Code == "AccessDenied"
}

// signedURL fetches what the OCR provider would fetch, without credentials.
func (e *examination) signedURL(ctx context.Context) Finding {
	switch {
	case e.Bucket == nil:
		return skip(noBucket)
	case e.config.ImageSource == config.Data:
		return ok("not needed: OCR_IMAGE_SOURCE is data")
	}
	public := e.Bucket
	if e.OpenPublic != nil {
		opened, err := e.OpenPublic(e.config.OSSPublicEndpoint, e.config.OSSPublicCNAME)
		if err != nil {
			return fail("correct OSS_PUBLIC_ENDPOINT", "%v", err)
		}
		public = opened
	}
	signed, err := public.SignURL(ctx, scratch, 5*time.Minute)
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
	response, err := e.HTTP.Do(r)
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
