package ossfake

import (
	"sync"
	"time"
)

// Credentials are what one caller signs with: a long-term AccessKey, or the temporary credentials of a role (STS).
type Credentials struct {
	AccessKeyID     string
	AccessKeySecret string
	// SecurityToken is the STS token; empty means a long-term AccessKey.
	SecurityToken string
	// Expires is when the STS token ends; the zero time means never.
	Expires time.Time
}

// Keyring finds the credentials that belong to an AccessKey ID. It must be safe for concurrent use.
type Keyring interface {
	Lookup(accessKeyID string) (Credentials, bool)
}

// MemoryKeyring is a Keyring in memory. Use NewKeyring to make one.
type MemoryKeyring struct {
	mu   sync.RWMutex
	keys map[string]Credentials
}

// NewKeyring returns a keyring that holds the given credentials.
func NewKeyring(creds ...Credentials) *MemoryKeyring {
	k := &MemoryKeyring{keys: make(map[string]Credentials, len(creds))}
	for _, c := range creds {
		k.Add(c)
	}
	return k
}

// Add stores credentials and replaces those with the same AccessKey ID.
func (k *MemoryKeyring) Add(c Credentials) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[c.AccessKeyID] = c
}

// Remove forgets an AccessKey ID; requests signed with it are then refused as InvalidAccessKeyId.
func (k *MemoryKeyring) Remove(accessKeyID string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.keys, accessKeyID)
}

// ExpireTokens ends all temporary credentials that are still good at that time, and returns how many there were.
func (k *MemoryKeyring) ExpireTokens(now time.Time) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	expired := 0
	for id, c := range k.keys {
		if c.SecurityToken != "" && (c.Expires.IsZero() || c.Expires.After(now)) {
			c.Expires = now
			k.keys[id] = c
			expired++
		}
	}
	return expired
}

// Lookup implements Keyring.
func (k *MemoryKeyring) Lookup(accessKeyID string) (Credentials, bool) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	c, ok := k.keys[accessKeyID]
	return c, ok
}
