package ossfake

import (
	"encoding/xml"
	"net/http"
	"slices"
)

const (
	aclPrivate         = "private"
	aclPublicRead      = "public-read"
	aclPublicReadWrite = "public-read-write"
	// aclDefault is an object's: that of its bucket.
	aclDefault = "default"
)

var (
	bucketACLs = []string{aclPrivate, aclPublicRead, aclPublicReadWrite}
	objectACLs = append([]string{aclDefault}, bucketACLs...)
)

func isPublic(acl string) bool { return acl == aclPublicRead || acl == aclPublicReadWrite }

// objectACL returns the ACL that a request gives an object, "" for the bucket's.
func (s *Server) objectACL(bucket, acl string) (string, error) {
	switch {
	case acl == "":
		return "", nil
	case !slices.Contains(objectACLs, acl):
		return "", errInvalidArgument("x-oss-object-acl", acl, "no such object access control exists")
	case isPublic(acl) && !s.Bucket(bucket).AllowPublicAccess:
		return "", errorf(http.StatusForbidden, "AccessDenied", "", "Put public object acl is not allowed")
	case acl == aclDefault:
		return "", nil
	}
	return acl, nil
}

func (m metadata) acl() string {
	if m.ACL == "" {
		return aclDefault
	}
	return m.ACL
}

// anonymousMay reports whether the ACLs let somebody without a signature do what an operation does.
func (s *Server) anonymousMay(op operation, req *request) bool {
	settings := s.Bucket(req.bucket)
	if !settings.AllowPublicAccess || req.key == "" {
		return false
	}
	acl := settings.ACL
	if m, err := s.store.version(req.bucket, req.key, req.query.get("versionId")); err == nil && m.ACL != "" {
		acl = m.ACL
	}
	switch op.action {
	case "oss:GetObject":
		return isPublic(acl)
	case "oss:PutObject", "oss:DeleteObject":
		return settings.ACL == aclPublicReadWrite
	}
	return false
}

type accessControlPolicy struct {
	XMLName xml.Name `xml:"AccessControlPolicy"`
	Owner   owner    `xml:"Owner"`
	Grant   string   `xml:"AccessControlList>Grant"`
}

func (s *Server) getBucketACL(w http.ResponseWriter, req *request) error {
	return writeXML(w, accessControlPolicy{Owner: theOwner, Grant: s.Bucket(req.bucket).ACL})
}

func (s *Server) putBucketACL(w http.ResponseWriter, req *request) error {
	acl := req.Header.Get("x-oss-acl")
	if !isBucketName(req.bucket) {
		return errInvalidBucketName(req.bucket)
	}
	if err := s.checkBucketACL(req.bucket, acl); err != nil {
		return err
	}
	// A bucket that does not exist is made.
	if err := s.store.root.MkdirAll(req.bucket, 0o755); err != nil {
		return err
	}
	w.Header().Set("Location", "/"+req.bucket)
	return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) { b.ACL = acl })
}

func (s *Server) checkBucketACL(bucket, acl string) error {
	if !slices.Contains(bucketACLs, acl) {
		return errInvalidArgument("x-oss-acl", acl, "no such bucket access control exists")
	}
	if isPublic(acl) && !s.Bucket(bucket).AllowPublicAccess {
		return errorf(http.StatusForbidden, "AccessDenied", "", "Put public bucket acl is not allowed")
	}
	return nil
}

func (s *Server) getObjectACL(w http.ResponseWriter, req *request) error {
	m, err := s.store.version(req.bucket, req.key, req.query.get("versionId"))
	if err != nil {
		return err
	}
	setVersion(w.Header(), m)
	return writeXML(w, accessControlPolicy{Owner: theOwner, Grant: m.acl()})
}

func (s *Server) putObjectACL(w http.ResponseWriter, req *request) error {
	text := req.Header.Get("x-oss-object-acl")
	if text == "" {
		return errInvalidArgument("x-oss-object-acl", text, "no such object access control exists")
	}
	acl, err := s.objectACL(req.bucket, text)
	if err != nil {
		return err
	}
	m, err := s.store.update(req.bucket, req.key, req.query.get("versionId"), func(m *metadata) error {
		m.ACL = acl
		return nil
	})
	if err != nil {
		return err
	}
	setVersion(w.Header(), m)
	w.WriteHeader(http.StatusOK)
	return nil
}

type publicAccessBlock struct {
	XMLName xml.Name `xml:"PublicAccessBlockConfiguration"`
	Block   bool     `xml:"BlockPublicAccess"`
}

func (s *Server) getPublicAccessBlock(w http.ResponseWriter, req *request) error {
	return writeXML(w, publicAccessBlock{Block: !s.Bucket(req.bucket).AllowPublicAccess})
}

func (s *Server) putPublicAccessBlock(w http.ResponseWriter, req *request) error {
	var in publicAccessBlock
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	return s.setPublicAccessBlock(w, req, http.StatusOK, in.Block)
}

func (s *Server) deletePublicAccessBlock(w http.ResponseWriter, req *request) error {
	return s.setPublicAccessBlock(w, req, http.StatusNoContent, false)
}

// setPublicAccessBlock also makes a public bucket private when it blocks: here the ACL that is shown is the one that counts.
func (s *Server) setPublicAccessBlock(w http.ResponseWriter, req *request, status int, block bool) error {
	return s.changeBucket(w, req, status, func(b *BucketSettings) {
		if b.AllowPublicAccess = !block; block {
			b.ACL = aclPrivate
		}
	})
}

type policyStatus struct {
	XMLName  xml.Name `xml:"PolicyStatus"`
	IsPublic bool     `xml:"IsPublic"`
}

// getBucketPolicyStatus answers for the bucket policy.
func (s *Server) getBucketPolicyStatus(w http.ResponseWriter, req *request) error {
	return writeXML(w, policyStatus{IsPublic: s.Bucket(req.bucket).PublicPolicy})
}
