package ossclient

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aliyun/alibabacloud-oss-go-sdk-v2/oss"
)

// Info is what a bucket says of itself in one request (GetBucketInfo).
type Info struct {
	Region            string // such as cn-hangzhou
	ACL               string // private, public-read or public-read-write
	BlockPublicAccess bool
	StorageClass      string // of new objects: Standard, IA, Archive ...
	Encryption        string // of new objects: AES256, KMS, SM4, or empty
	KMSKeyID          string // of an own key
	Versioning        string // Enabled, Suspended, or empty if it was never on
}

// Info asks how the bucket is set up.
func (b *Bucket) Info(ctx context.Context) (Info, error) {
	answer, err := b.client.GetBucketInfo(ctx, &oss.GetBucketInfoRequest{Bucket: &b.name})
	if err != nil {
		return Info{}, failure("ask how the bucket is set up", err)
	}
	told := answer.BucketInfo
	info := Info{
		Region: strings.TrimPrefix(oss.ToString(told.Location), "oss-"), ACL: oss.ToString(told.ACL), BlockPublicAccess: told.BlockPublicAccess != nil && *told.BlockPublicAccess,
		StorageClass: oss.ToString(told.StorageClass), Encryption: oss.ToString(told.SseRule.SSEAlgorithm), KMSKeyID: oss.ToString(told.SseRule.KMSMasterKeyID),
		Versioning: oss.ToString(told.Versioning),
	}
	if info.Encryption == "None" {
		info.Encryption = ""
	}
	return info, nil
}

// PolicyIsPublic reports whether the bucket policy lets everybody in.
func (b *Bucket) PolicyIsPublic(ctx context.Context) (bool, error) {
	answer, err := b.client.GetBucketPolicyStatus(ctx, &oss.GetBucketPolicyStatusRequest{Bucket: &b.name})
	switch {
	case notSet(err):
		return false, nil
	case err != nil:
		return false, failure("ask whether the bucket policy is public", err)
	}
	return answer.PolicyStatus != nil && answer.PolicyStatus.IsPublic != nil && *answer.PolicyStatus.IsPublic, nil
}

// RetentionDays returns for how many days the bucket's retention policy protects objects from changes; 0 without one.
func (b *Bucket) RetentionDays(ctx context.Context) (int, error) {
	answer, err := b.client.GetBucketWorm(ctx, &oss.GetBucketWormRequest{Bucket: &b.name})
	switch {
	case notSet(err):
		return 0, nil
	case err != nil:
		return 0, failure("ask for the bucket's retention policy", err)
	case answer.WormConfiguration == nil || answer.WormConfiguration.RetentionPeriodInDays == nil:
		return 0, nil
	}
	return int(*answer.WormConfiguration.RetentionPeriodInDays), nil
}

// LogBucket returns the bucket that receives the access log; empty if there is no log.
func (b *Bucket) LogBucket(ctx context.Context) (string, error) {
	answer, err := b.client.GetBucketLogging(ctx, &oss.GetBucketLoggingRequest{Bucket: &b.name})
	switch {
	case err != nil:
		return "", failure("ask for the bucket's access log", err)
	case answer.BucketLoggingStatus == nil || answer.BucketLoggingStatus.LoggingEnabled == nil:
		return "", nil
	}
	return oss.ToString(answer.BucketLoggingStatus.LoggingEnabled.TargetBucket), nil
}

// Rule is a lifecycle rule that is switched on.
type Rule struct {
	Prefix         string
	Tags           map[string]string
	Expires        bool     // removes objects by their age
	NoncurrentDays int      // days after which old versions are removed; 0 for never
	Exceptions     bool     // does not apply to all objects of the prefix and tags
	Classes        []string // to which objects are moved by their age
}

// Lifecycle returns the rules that are switched on.
func (b *Bucket) Lifecycle(ctx context.Context) (rules []Rule, err error) {
	answer, err := b.client.GetBucketLifecycle(ctx, &oss.GetBucketLifecycleRequest{Bucket: &b.name})
	switch {
	case notSet(err):
		return nil, nil
	case err != nil:
		return nil, failure("ask for the bucket's lifecycle rules", err)
	case answer.LifecycleConfiguration == nil:
		return nil, nil
	}
	for _, told := range answer.LifecycleConfiguration.Rules {
		if oss.ToString(told.Status) != "Enabled" {
			continue
		}
		rule := Rule{Prefix: oss.ToString(told.Prefix), Tags: make(map[string]string), Exceptions: told.Filter != nil}
		for _, tag := range told.Tags {
			rule.Tags[oss.ToString(tag.Key)] = oss.ToString(tag.Value)
		}
		if e := told.Expiration; e != nil {
			rule.Expires = e.Days != nil || e.CreatedBeforeDate != nil
		}
		if n := told.NoncurrentVersionExpiration; n != nil && n.NoncurrentDays != nil {
			rule.NoncurrentDays = int(*n.NoncurrentDays)
		}
		for _, t := range told.Transitions {
			rule.Classes = append(rule.Classes, string(t.StorageClass))
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// notSet reports that a bucket has no configuration of the kind that was asked for.
func notSet(err error) bool {
	var e *oss.ServiceError
	return errors.As(err, &e) && e.StatusCode == http.StatusNotFound && e.Code != "NoSuchBucket"
}
