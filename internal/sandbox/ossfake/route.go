package ossfake

import (
	"net/http"
	"slices"
	"strings"
)

// operation is one API of OSS. action is what a RAM policy calls it
// (https://help.aliyun.com/zh/oss/user-guide/ram-policy).
type operation struct {
	name   string
	action string
	run    func(*Server, http.ResponseWriter, *request) error
}

// ignoredParameters do not select an operation; every other parameter that is a sub-resource does, so that a request this
// server does not know (such as PUT ?symlink) is never mistaken for an upload.
var ignoredParameters = []string{
	"security-token", "continuation-token", "versionId", "x-oss-process", "x-oss-traffic-limit", "x-oss-request-payer", "position", "partNumber",
	"sequential", "callback-var",
}

// options are parameters without a value that select no operation, or may come without one.
var options = []string{"prefix", "marker", "delimiter", "encoding-type", "start-after", "key-marker", "upload-id-marker", "version-id-marker", "Signature"}

func subResource(q parameters) string {
	for _, p := range q {
		if slices.Contains(ignoredParameters, p.name) || strings.HasPrefix(p.name, "response-") || strings.HasPrefix(p.name, "x-oss-") && p.name != "x-oss-async-process" {
			continue
		}
		// A bare name that is no option is a sub-resource that V1 signatures do not know.
		if isV1SubResource(p.name) || p.value == "" && !slices.Contains(options, p.name) {
			return p.name
		}
	}
	return ""
}

// route finds the operation of a request.
func (s *Server) route(req *request) (operation, error) {
	sub := subResource(req.query)
	var target string
	switch {
	case req.bucket == "":
		target = "service"
	case req.key == "":
		target = "bucket"
	default:
		target = "object"
	}
	if op, ok := operations[target+" "+req.Method+" "+sub]; ok {
		return op, nil
	}
	if sub == "" && req.Method == http.MethodPost && req.query.has("x-oss-process") {
		sub = "x-oss-process"
	}
	if sub != "" {
		return operation{}, errNotImplemented(req.Method + " ?" + sub)
	}
	return operation{}, errMethodNotAllowed(req.Method)
}

// operations are keyed by what they address, the method and the sub-resource.
var operations map[string]operation

func init() {
	// Set here because the functions refer back to the table's type.
	operations = map[string]operation{
		"service GET ":                    {"ListBuckets", "oss:ListBuckets", (*Server).listBuckets},
		"bucket GET ":                     {"ListObjects", "oss:ListObjects", (*Server).listObjects},
		"bucket HEAD ":                    {"HeadBucket", "oss:GetBucketInfo", (*Server).headBucket},
		"bucket PUT ":                     {"PutBucket", "oss:PutBucket", (*Server).putBucket},
		"bucket DELETE ":                  {"DeleteBucket", "oss:DeleteBucket", (*Server).deleteBucket},
		"bucket GET bucketInfo":           {"GetBucketInfo", "oss:GetBucketInfo", (*Server).getBucketInfo},
		"bucket GET location":             {"GetBucketLocation", "oss:GetBucketLocation", (*Server).getBucketLocation},
		"bucket GET acl":                  {"GetBucketAcl", "oss:GetBucketAcl", (*Server).getBucketACL},
		"bucket GET versioning":           {"GetBucketVersioning", "oss:GetBucketVersioning", (*Server).getBucketVersioning},
		"bucket PUT versioning":           {"PutBucketVersioning", "oss:PutBucketVersioning", (*Server).putBucketVersioning},
		"bucket POST delete":              {"DeleteMultipleObjects", "oss:DeleteObject", (*Server).deleteObjects},
		"bucket GET uploads":              {"ListMultipartUploads", "oss:ListMultipartUploads", (*Server).listMultipartUploads},
		"object PUT ":                     {"PutObject", "oss:PutObject", (*Server).putObject},
		"object GET ":                     {"GetObject", "oss:GetObject", (*Server).getObject},
		"object HEAD ":                    {"HeadObject", "oss:GetObject", (*Server).getObject},
		"service GET tagging":             {"ListBuckets", "oss:ListBuckets", (*Server).listBuckets},
		"bucket GET tagging":              {"GetBucketTags", "oss:GetBucketTagging", (*Server).getBucketTags},
		"bucket PUT tagging":              {"PutBucketTags", "oss:PutBucketTagging", (*Server).putBucketTags},
		"bucket DELETE tagging":           {"DeleteBucketTags", "oss:DeleteBucketTagging", (*Server).deleteBucketTags},
		"bucket POST worm":                {"InitiateBucketWorm", "oss:InitiateBucketWorm", (*Server).initiateBucketWorm},
		"bucket POST wormId":              {"CompleteBucketWorm", "oss:CompleteBucketWorm", (*Server).changeBucketWorm},
		"bucket POST wormExtend":          {"ExtendBucketWorm", "oss:ExtendBucketWorm", (*Server).changeBucketWorm},
		"bucket DELETE worm":              {"AbortBucketWorm", "oss:AbortBucketWorm", (*Server).abortBucketWorm},
		"bucket GET live":                 {"ListLiveChannel", "oss:ListLiveChannel", (*Server).listLiveChannels},
		"bucket PUT acl":                  {"PutBucketAcl", "oss:PutBucketAcl", (*Server).putBucketACL},
		"bucket GET versions":             {"ListObjectVersions", "oss:ListObjectVersions", (*Server).listObjectVersions},
		"bucket GET encryption":           {"GetBucketEncryption", "oss:GetBucketEncryption", (*Server).getBucketEncryption},
		"bucket PUT encryption":           {"PutBucketEncryption", "oss:PutBucketEncryption", (*Server).putBucketEncryption},
		"bucket DELETE encryption":        {"DeleteBucketEncryption", "oss:DeleteBucketEncryption", (*Server).deleteBucketEncryption},
		"bucket GET lifecycle":            {"GetBucketLifecycle", "oss:GetBucketLifecycle", (*Server).getBucketLifecycle},
		"bucket PUT lifecycle":            {"PutBucketLifecycle", "oss:PutBucketLifecycle", (*Server).putBucketLifecycle},
		"bucket DELETE lifecycle":         {"DeleteBucketLifecycle", "oss:DeleteBucketLifecycle", (*Server).deleteBucketLifecycle},
		"bucket GET publicAccessBlock":    {"GetBucketPublicAccessBlock", "oss:GetBucketPublicAccessBlock", (*Server).getPublicAccessBlock},
		"bucket PUT publicAccessBlock":    {"PutBucketPublicAccessBlock", "oss:PutBucketPublicAccessBlock", (*Server).putPublicAccessBlock},
		"bucket DELETE publicAccessBlock": {"DeleteBucketPublicAccessBlock", "oss:DeleteBucketPublicAccessBlock", (*Server).deletePublicAccessBlock},
		"bucket GET worm":                 {"GetBucketWorm", "oss:GetBucketWorm", (*Server).getBucketWorm},
		"bucket GET logging":              {"GetBucketLogging", "oss:GetBucketLogging", (*Server).getBucketLogging},
		"bucket GET policyStatus":         {"GetBucketPolicyStatus", "oss:GetBucketPolicyStatus", (*Server).getBucketPolicyStatus},
		"object PUT acl":                  {"PutObjectACL", "oss:PutObjectAcl", (*Server).putObjectACL},
		"object GET tagging":              {"GetObjectTagging", "oss:GetObjectTagging", (*Server).getObjectTagging},
		"object PUT tagging":              {"PutObjectTagging", "oss:PutObjectTagging", (*Server).putObjectTagging},
		"object DELETE tagging":           {"DeleteObjectTagging", "oss:DeleteObjectTagging", (*Server).deleteObjectTagging},
		"object POST restore":             {"RestoreObject", "oss:RestoreObject", (*Server).restoreObject},
		"object HEAD objectMeta":          {"GetObjectMeta", "oss:GetObject", (*Server).getObjectMeta},
		"object GET objectMeta":           {"GetObjectMeta", "oss:GetObject", (*Server).getObjectMeta},
		"object GET acl":                  {"GetObjectACL", "oss:GetObjectAcl", (*Server).getObjectACL},
		"object POST append":              {"AppendObject", "oss:PutObject", (*Server).appendObject},
		"object DELETE ":                  {"DeleteObject", "oss:DeleteObject", (*Server).deleteObject},
		"object POST uploads":             {"InitiateMultipartUpload", "oss:PutObject", (*Server).initiateMultipartUpload},
		"object PUT uploadId":             {"UploadPart", "oss:PutObject", (*Server).uploadPart},
		"object POST uploadId":            {"CompleteMultipartUpload", "oss:PutObject", (*Server).completeMultipartUpload},
		"object DELETE uploadId":          {"AbortMultipartUpload", "oss:AbortMultipartUpload", (*Server).abortMultipartUpload},
		"object GET uploadId":             {"ListParts", "oss:ListParts", (*Server).listParts},
	}
}
