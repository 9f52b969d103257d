// Package ossfake is a local stand-in for Alibaba Cloud Object Storage Service (OSS): an http.Handler that checks every
// signature as the service does and keeps objects as plain files, so that the real SDKs and the real function can be
// run and tested without an account. It is meant for loopback only and never talks to the network.
//
// # What is emulated
//
// Path-style requests (/bucket/key) signed with V1 or V4, in the Authorization header or in the query (presigned URL),
// with long-term or STS credentials: service, bucket, object, append, copy, multi-object delete, form (PostObject) and
// multipart operations, conditional and range reads, versions, tags, ACLs, encryption headers, storage classes with archive and
// restore, retention, lifecycle rules, image processing (x-oss-process) on real pictures, RAM policies for STS callers, and the
// event notification that triggers a function. BucketSettings are the properties of a bucket that change these answers; ChangeBucket
// sets them in one call.
//
// # Where things are
//
// An object whose key is a safe relative path is the file Dir/<bucket>/<key>. Every other key ("..", "//", a trailing
// "/", names over 255 bytes, control characters, a key that is also a folder) is a file under Dir/.oss/objects.
// Content type, user metadata, ETag and CRC are kept in Dir/.oss/meta, older versions and delete markers in Dir/.oss/versions,
// settings of buckets in Dir/.oss/buckets. A file that was copied into a bucket's folder
// by hand is an object too; files whose name starts with "." or looks like an unfinished download (.part, .partial,
// .crdownload, .tmp, .swp, trailing "~") are not, until they are renamed. Symbolic links never are. Server.Watch reports
// what is copied in and removed by hand.
//
// # Limitations
//
//   - Path style only; the real service refuses it and wants the bucket in the host name.
//   - A file that is changed or removed by hand leaves no older version and no delete marker.
//   - Every long-term key owns every bucket; RAM policies apply to STS callers only and know Effect, Action, Resource and
//     some of the conditions. Bucket policies and access logs are only reported, by BucketSettings.PublicPolicy and LogBucket.
//   - Nothing is encrypted: the headers are kept and answered, and the permissions for an own KMS key are checked.
//   - Lifecycle rules know prefix, tags and days, and run when
//     ApplyLifecycle is called.
//   - The V2 signature is refused; the service takes it no more for new users.
//   - Where the documentation names a refusal but not its error code, the code is a guess: AppendObject with an own KMS key
//     (InvalidEncryptionRequest) and in an Archive bucket (OperationNotSupported).
//   - Not implemented, and answered with 501 NotImplemented: CORS, symlinks, select, callbacks, replication, live channels, image
//     styles, saveas and asynchronous processing.
//   - Image processing knows resize, auto-orient, rotate (multiples of 90), quality, format and info. It reads JPEG, PNG, GIF (first
//     frame), BMP, TIFF and WebP and writes JPEG, PNG, GIF, BMP and TIFF. HEIC is read if Config.DecodeHEIC can;
//     else it and AVIF are refused with the service's words for an unknown format. WebP is not written: no encoder without cgo is used here. EXIF data is not
//     carried over into the result. A picture that takes more than 512 MiB once decoded (134 megapixels with 8 bits a channel, 67 with
//     16) is refused as ImageTooLarge; the service takes 250 megapixels.
//   - The order in which credentials, token, time and signature are judged is not documented by the service where a
//     request is wrong in more than one way; here it is: access key, token, time, scope, signature.
//   - Writes are atomic for readers and survive the end of the process at any point; they are not flushed to the disk
//     (fsync), so a power cut may lose the last ones.
//   - On a file system that ignores case or normalises Unicode (macOS, Windows) two keys that differ only in that are
//     one file.
//   - Two processes must not serve the same folder at once.
package ossfake
