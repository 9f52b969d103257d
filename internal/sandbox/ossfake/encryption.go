package ossfake

import (
	"cmp"
	"encoding/xml"
	"net/http"
	"slices"
)

var encryptionAlgorithms = []string{"AES256", "KMS", "SM4"}

const (
	encryptionHeader     = "x-oss-server-side-encryption"
	encryptionKeyHeader  = "x-oss-server-side-encryption-key-id"
	dataEncryptionHeader = "x-oss-server-side-data-encryption"
)

// encryption returns the encryption of a new object: that of the request, else the bucket's default. Nothing is encrypted; what
// the service says about it is what is kept.
func (s *Server) encryption(req *request, h http.Header) (Encryption, error) {
	e := Encryption{Algorithm: h.Get(encryptionHeader), KMSKeyID: h.Get(encryptionKeyHeader)}
	_, hasKey := h[http.CanonicalHeaderKey(encryptionKeyHeader)]
	switch {
	case e.Algorithm == "" && hasKey:
		return e, errInvalidArgument(encryptionKeyHeader, e.KMSKeyID, "A key ID needs the header %s: KMS.", encryptionHeader)
	case e.Algorithm == "":
		e = s.Bucket(req.bucket).Encryption
	case !slices.Contains(encryptionAlgorithms, e.Algorithm):
		err := errorf(http.StatusBadRequest, "InvalidEncryptionAlgorithmError", "0005-00000003", "The Encryption request you specified is not valid. Supported value: AES256/SM4/KMS.")
		return e, err
	case hasKey && e.KMSKeyID == "":
		err := errInvalidArgument(encryptionKeyHeader, "", "The key ID must not be empty.")
		err.ec = "0005-00000205"
		return e, err
	case hasKey && e.Algorithm != "KMS":
		return e, errInvalidArgument(encryptionKeyHeader, e.KMSKeyID, "A key ID needs the header %s: KMS.", encryptionHeader)
	}
	if v := h.Get(dataEncryptionHeader); v != "" {
		if v != "SM4" || e.Algorithm != "KMS" {
			return e, errInvalidArgument(dataEncryptionHeader, v, "The data encryption must be SM4, with KMS.")
		}
		e.DataAlgorithm = v
	}
	if e.KMSKeyID != "" {
		for _, action := range []string{"kms:GenerateDataKey", "kms:Decrypt"} {
			if err := s.authorizeKMS(req, action, e.KMSKeyID); err != nil {
				return e, err
			}
		}
	}
	return e, nil
}

// managedKeyID is the KMS key that OSS manages, which is used if none is named.
const managedKeyID = "00000000-0000-0000-0000-000000000001"

// setEncryption writes the headers that say how an object is encrypted.
func setEncryption(h http.Header, m metadata) {
	if m.Encryption == nil {
		return
	}
	h.Set(encryptionHeader, m.Encryption.Algorithm)
	if m.Encryption.Algorithm == "KMS" {
		h.Set(encryptionKeyHeader, cmp.Or(m.Encryption.KMSKeyID, managedKeyID))
	}
	if m.Encryption.DataAlgorithm != "" {
		h.Set(dataEncryptionHeader, m.Encryption.DataAlgorithm)
	}
}

type encryptionRule struct {
	XMLName xml.Name `xml:"ServerSideEncryptionRule"`
	Default struct {
		Algorithm string `xml:"SSEAlgorithm"`
		KMSKeyID  string `xml:"KMSMasterKeyID,omitempty"`
		Data      string `xml:"KMSDataEncryption,omitempty"`
	} `xml:"ApplyServerSideEncryptionByDefault"`
}

func (s *Server) getBucketEncryption(w http.ResponseWriter, req *request) error {
	e := s.Bucket(req.bucket).Encryption
	if e.Algorithm == "" {
		return errorf(http.StatusNotFound, "NoSuchServerSideEncryptionRule", "", "The server side encryption configuration does not exist.").with("BucketName", req.bucket)
	}
	var out encryptionRule
	out.Default.Algorithm, out.Default.KMSKeyID, out.Default.Data = e.Algorithm, e.KMSKeyID, e.DataAlgorithm
	return writeXML(w, out)
}

func (s *Server) putBucketEncryption(w http.ResponseWriter, req *request) error {
	var in encryptionRule
	if err := readXML(w, req, &in); err != nil {
		return err
	}
	if !slices.Contains(encryptionAlgorithms, in.Default.Algorithm) {
		return errorf(http.StatusBadRequest, "InvalidEncryptionAlgorithmError", "0005-00000003", "The Encryption request you specified is not valid. Supported value: AES256/SM4/KMS.")
	}
	if in.Default.KMSKeyID+in.Default.Data != "" && in.Default.Algorithm != "KMS" {
		return errInvalidArgument("KMSMasterKeyID", in.Default.KMSKeyID, "A KMSMasterKeyID or KMSDataEncryption needs the SSEAlgorithm KMS.")
	}
	return s.changeBucket(w, req, http.StatusOK, func(b *BucketSettings) {
		b.Encryption = Encryption{in.Default.Algorithm, in.Default.KMSKeyID, in.Default.Data}
	})
}

func (s *Server) deleteBucketEncryption(w http.ResponseWriter, req *request) error {
	return s.changeBucket(w, req, http.StatusNoContent, func(b *BucketSettings) { b.Encryption = Encryption{} })
}

// changeBucket changes settings for a request that has checked them, and answers it.
func (s *Server) changeBucket(w http.ResponseWriter, req *request, status int, change func(*BucketSettings)) error {
	if err := s.ChangeBucket(req.bucket, change); err != nil {
		return err
	}
	w.WriteHeader(status)
	return nil
}
