package ossfake

import (
	"cmp"
	"crypto/md5" //nolint:gosec // Content-MD5 is MD5 by definition.
	"encoding/base64"
	"encoding/xml"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"
)

func contentMD5(body []byte) string {
	sum := md5.Sum(body)
	return base64.StdEncoding.EncodeToString(sum[:])
}

type owner struct {
	ID          string `xml:"ID"`
	DisplayName string `xml:"DisplayName"`
}

var theOwner = owner{ownerID, ownerID}

type bucketEntry struct {
	CreationDate     string `xml:"CreationDate"`
	ExtranetEndpoint string `xml:"ExtranetEndpoint"`
	IntranetEndpoint string `xml:"IntranetEndpoint"`
	Location         string `xml:"Location"`
	Name             string `xml:"Name"`
	Region           string `xml:"Region"`
	StorageClass     string `xml:"StorageClass"`
	// Tags are shown in a list that was filtered by tags.
	Tags []tag `xml:"TagSet>Tag"`
}

// bucketEntry describes a bucket. The endpoints are those of the service, which do not lead here.
func (s *Server) bucketEntry(name string, created time.Time) bucketEntry {
	return bucketEntry{
		CreationDate: isoMillis(created), ExtranetEndpoint: "oss-" + s.cfg.Region + ".aliyuncs.com", IntranetEndpoint: "oss-" + s.cfg.Region + "-internal.aliyuncs.com",
		Location: "oss-" + s.cfg.Region, Name: name, Region: s.cfg.Region, StorageClass: s.Bucket(name).StorageClass,
	}
}

type listBucketsResult struct {
	XMLName     xml.Name      `xml:"ListAllMyBucketsResult"`
	Owner       owner         `xml:"Owner"`
	Prefix      string        `xml:"Prefix,omitempty"`
	Marker      string        `xml:"Marker,omitempty"`
	MaxKeys     int           `xml:"MaxKeys,omitempty"`
	IsTruncated bool          `xml:"IsTruncated"`
	NextMarker  string        `xml:"NextMarker,omitempty"`
	Buckets     []bucketEntry `xml:"Buckets>Bucket"`
}

func (s *Server) listBuckets(w http.ResponseWriter, req *request) error {
	limit, err := maxKeys(req, "max-keys")
	if err != nil {
		return err
	}
	names, err := s.bucketNames()
	if err != nil {
		return err
	}
	if prefix := req.query.get("prefix"); strings.Trim(prefix, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return errInvalidArgument("prefix", prefix, "The prefix is not one of bucket names.")
	}
	wanted, err := parseTagFilter(req.query)
	if err != nil {
		return err
	}
	out := listBucketsResult{Owner: theOwner, Prefix: req.query.get("prefix"), Marker: req.query.get("marker")}
	for _, name := range names {
		if !strings.HasPrefix(name, out.Prefix) || name <= out.Marker || !wanted.matches(s.Bucket(name).Tags) {
			continue
		}
		if len(out.Buckets) == limit {
			out.IsTruncated, out.NextMarker, out.MaxKeys = true, out.Buckets[limit-1].Name, limit
			break
		}
		info, err := s.store.root.Stat(name)
		if err != nil {
			return err
		}
		entry := s.bucketEntry(name, info.ModTime())
		if len(wanted) > 0 {
			entry.Tags = sortedTags(s.Bucket(name).Tags)
		}
		out.Buckets = append(out.Buckets, entry)
	}
	return writeXML(w, out)
}

func (s *Server) bucketNames() ([]string, error) {
	entries, err := s.store.readDir(".")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() && isBucketName(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *Server) headBucket(w http.ResponseWriter, _ *request) error {
	w.Header().Set("x-oss-bucket-region", s.cfg.Region)
	w.WriteHeader(http.StatusOK)
	return nil
}

type bucketConfiguration struct {
	XMLName            xml.Name `xml:"CreateBucketConfiguration"`
	StorageClass       string   `xml:"StorageClass"`
	DataRedundancyType string   `xml:"DataRedundancyType"`
}

func (s *Server) putBucket(w http.ResponseWriter, req *request) error {
	if !isBucketName(req.bucket) {
		return errInvalidBucketName(req.bucket)
	}
	configuration := bucketConfiguration{StorageClass: classStandard, DataRedundancyType: "LRS"}
	if _, err := readOptionalXML(w, req, &configuration); err != nil {
		return err
	}
	if !slices.Contains(storageClasses, configuration.StorageClass) || !slices.Contains(redundancies, configuration.DataRedundancyType) {
		return errMalformedXML()
	}
	acl := req.Header.Get("x-oss-acl")
	if acl != "" {
		if err := s.checkBucketACL(req.bucket, acl); err != nil {
			return err
		}
	}
	encryption, err := s.encryption(req, req.Header)
	if err != nil {
		return err
	}
	_, err = s.store.root.Stat(req.bucket)
	isNew := isAbsent(err)
	if err := s.store.root.MkdirAll(req.bucket, 0o755); err != nil {
		return err
	}
	if err := s.ChangeBucket(req.bucket, func(b *BucketSettings) {
		if isNew {
			b.StorageClass, b.Redundancy, b.Encryption = configuration.StorageClass, configuration.DataRedundancyType, encryption
		}
		if acl != "" {
			b.ACL = acl
		}
	}); err != nil {
		return err
	}
	w.Header().Set("Location", "/"+req.bucket)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *Server) deleteBucket(w http.ResponseWriter, req *request) error {
	empty := true
	if err := s.store.scan(req.bucket, "", "", func(string) (string, bool) {
		empty = false
		return "", false
	}); err != nil {
		return err
	}
	empty = empty && !s.store.hasVersions(req.bucket)
	if empty {
		// Hidden files are no objects but the user's all the same: they keep the bucket alive.
		empty = s.removeEmptyFolders(req.bucket) == nil
	}
	if !empty {
		return errorf(http.StatusConflict, "BucketNotEmpty", "0015-00000301", "The bucket you tried to delete is not empty.").with("BucketName", req.bucket)
	}
	if err := s.forgetSettings(req.bucket); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) removeEmptyFolders(dir string) error {
	s.store.tree.Lock()
	defer s.store.tree.Unlock()
	var walk func(dir string) error
	walk = func(dir string) error {
		entries, err := s.store.readDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !e.IsDir() {
				return fs.ErrExist
			}
			if err := walk(dir + "/" + e.Name()); err != nil {
				return err
			}
		}
		return s.store.root.Remove(dir)
	}
	return walk(dir)
}

type bucketInfo struct {
	XMLName xml.Name `xml:"BucketInfo"`
	Bucket  struct {
		bucketEntry
		AccessMonitor          string `xml:"AccessMonitor"`
		Comment                string `xml:"Comment"`
		ResourceGroupID        string `xml:"ResourceGroupId"`
		DataRedundancyType     string `xml:"DataRedundancyType"`
		CrossRegionReplication string `xml:"CrossRegionReplication"`
		TransferAcceleration   string `xml:"TransferAcceleration"`
		Owner                  owner  `xml:"Owner"`
		ACL                    string `xml:"AccessControlList>Grant"`
		Versioning             string `xml:"Versioning,omitempty"`
		BlockPublicAccess      bool   `xml:"BlockPublicAccess"`
		Encryption             struct {
			Algorithm string `xml:"SSEAlgorithm"`
			KMSKeyID  string `xml:"KMSMasterKeyID,omitempty"`
			Data      string `xml:"KMSDataEncryption,omitempty"`
		} `xml:"ServerSideEncryptionRule"`
	} `xml:"Bucket"`
}

func (s *Server) getBucketInfo(w http.ResponseWriter, req *request) error {
	info, err := s.store.root.Stat(req.bucket)
	if err != nil {
		return err
	}
	var out bucketInfo
	out.Bucket.bucketEntry = s.bucketEntry(req.bucket, info.ModTime())
	out.Bucket.AccessMonitor = "Disabled"
	out.Bucket.ResourceGroupID = "rg-default-id"
	out.Bucket.DataRedundancyType = cmp.Or(s.Bucket(req.bucket).Redundancy, redundancies[0])
	out.Bucket.CrossRegionReplication = "Disabled"
	out.Bucket.TransferAcceleration = "Disabled"
	out.Bucket.Owner = theOwner
	settings := s.Bucket(req.bucket)
	out.Bucket.ACL = settings.ACL
	out.Bucket.Versioning = settings.Versioning
	out.Bucket.BlockPublicAccess = !settings.AllowPublicAccess
	out.Bucket.Encryption.Algorithm = settings.Encryption.Algorithm
	if settings.Encryption.Algorithm == "" {
		out.Bucket.Encryption.Algorithm = "None"
	}
	out.Bucket.Encryption.KMSKeyID, out.Bucket.Encryption.Data = settings.Encryption.KMSKeyID, settings.Encryption.DataAlgorithm
	return writeXML(w, out)
}

type locationConstraint struct {
	XMLName xml.Name `xml:"LocationConstraint"`
	Value   string   `xml:",chardata"`
}

func (s *Server) getBucketLocation(w http.ResponseWriter, _ *request) error {
	return writeXML(w, locationConstraint{Value: "oss-" + s.cfg.Region})
}

type versioningConfiguration struct {
	XMLName xml.Name `xml:"VersioningConfiguration"`
	Status  string   `xml:"Status,omitempty"`
}

func (s *Server) getBucketVersioning(w http.ResponseWriter, req *request) error {
	return writeXML(w, versioningConfiguration{Status: s.Bucket(req.bucket).Versioning})
}

func (s *Server) putBucketVersioning(w http.ResponseWriter, req *request) error {
	var in versioningConfiguration
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	if in.Status != versioningEnabled && in.Status != versioningSuspended {
		return errMalformedXML()
	}
	return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) { b.Versioning = in.Status })
}
