module github.com/posthorn/posthorn

go 1.26.0

// The protocol core. Nothing else may come in here (docs/adr/0001-primitives.md).
require filippo.io/mldsa v1.0.0 // ML-DSA-65, until Go 1.27 has it

// Client and server.
require (
	connectrpc.com/connect/v2 v2.0.2 // RPC: gRPC, gRPC-Web and JSON from one schema
	github.com/gofrs/flock v0.13.1 // one process for a folder
	google.golang.org/protobuf v1.36.12 // the messages of the schema
)

// Key transparency.
require (
	filippo.io/mostly-harmless/vrf-r255 v0.0.0-20260605095812-d3620d7874c5 // the function that hides names in the log
	github.com/transparency-dev/formats v0.1.1 // signed checkpoints, cosignatures and policies
	github.com/transparency-dev/merkle v0.0.2 // proofs of Merkle logs
	golang.org/x/mod v0.42.0 // signed notes
)

// The server.
require (
	github.com/caddyserver/certmagic v0.25.6 // certificates from an ACME authority
	github.com/cockroachdb/pebble/v2 v2.1.7 // the embedded store (docs/adr/0009-storage-contract.md)
	github.com/jackc/pgx/v5 v5.12.0 // the store on PostgreSQL (docs/adr/0009-storage-contract.md)
	github.com/nats-io/nats.go v1.55.0 // lossy messages between the nodes of one server
	github.com/prometheus/client_golang v1.25.0 // counters in the form that Prometheus reads
	github.com/prometheus/client_model v0.6.3 // how the embedded store keeps the times of its syncs
	github.com/transparency-dev/tessera v1.0.4 // logs in the form of tiles, shown to witnesses
	go.uber.org/zap v1.28.0 // the logger that certmagic asks for, silent
	gocloud.dev v0.47.0 // attachments in a bucket of any S3-compatible store
	golang.org/x/time v0.16.0 // rate limits
	k8s.io/klog/v2 v2.130.1 // the logger of tessera, silenced
)

// The client.
require (
	github.com/google/renameio/v2 v2.0.2 // key files replaced in one step
	github.com/ncruces/go-sqlite3 v0.36.0 // the local database, pure Go, encrypted pages
	github.com/zalando/go-keyring v0.2.8 // the system's key store
	golang.org/x/crypto v0.58.0 // Argon2id for passphrases
)

// The programs.
require (
	github.com/adrg/xdg v0.5.3 // where a profile lives by default
	github.com/pelletier/go-toml/v2 v2.4.3 // the configuration file of the server
	github.com/spf13/cobra v1.10.2 // commands, flags, completion
	github.com/spf13/pflag v1.0.9 // flag types that cobra shares
	golang.org/x/term v0.47.0 // passphrases without echo, size of the terminal
	rsc.io/qr v0.2.0 // codes that a telephone can scan
)

// Tests.
require (
	github.com/anishathalye/porcupine v1.3.1 // is there an order that explains what a store answered?
	github.com/chromedp/cdproto v0.159.0 // light and dark, in the browser that chromedp drives
	github.com/chromedp/chromedp v0.23.0 // pages in a real browser
	github.com/rogpeppe/go-internal v1.16.0 // testscript: stories over the real programs
	go.uber.org/goleak v1.3.0 // no goroutine is left behind
	go.yaml.in/yaml/v3 v3.0.5 // the compose file is what it seems
	pgregory.net/rapid v1.3.0 // random schedules that shrink
)

require (
	filippo.io/edwards25519 v1.2.0 // indirect
	github.com/DataDog/zstd v1.5.7 // indirect
	github.com/RaduBerinde/axisds v0.1.0 // indirect
	github.com/RaduBerinde/btreemap v0.0.0-20250419174037-3d62b7205d54 // indirect
	github.com/aws/aws-sdk-go-v2 v1.46.0 // indirect
	github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream v1.7.20 // indirect
	github.com/aws/aws-sdk-go-v2/config v1.33.3 // indirect
	github.com/aws/aws-sdk-go-v2/credentials v1.20.3 // indirect
	github.com/aws/aws-sdk-go-v2/feature/ec2/imds v1.19.2 // indirect
	github.com/aws/aws-sdk-go-v2/feature/s3/transfermanager v0.4.3 // indirect
	github.com/aws/aws-sdk-go-v2/internal/configsources v1.5.2 // indirect
	github.com/aws/aws-sdk-go-v2/internal/endpoints/v2 v2.8.2 // indirect
	github.com/aws/aws-sdk-go-v2/internal/v4a v1.5.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/accept-encoding v1.13.19 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/checksum v1.11.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/presigned-url v1.14.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/internal/s3shared v1.20.2 // indirect
	github.com/aws/aws-sdk-go-v2/service/s3 v1.111.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/signin v1.9.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/sso v1.37.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/ssooidc v1.42.0 // indirect
	github.com/aws/aws-sdk-go-v2/service/sts v1.49.0 // indirect
	github.com/aws/smithy-go v1.28.1 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/caddyserver/zerossl v0.1.6 // indirect
	github.com/cenkalti/backoff/v5 v5.0.3 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/cockroachdb/crlib v0.0.0-20241112164430-1264a2edc35b // indirect
	github.com/cockroachdb/errors v1.11.3 // indirect
	github.com/cockroachdb/logtags v0.0.0-20230118201751-21c54148d20b // indirect
	github.com/cockroachdb/redact v1.1.5 // indirect
	github.com/cockroachdb/swiss v0.0.0-20260820225851-333444432258 // indirect
	github.com/cockroachdb/tokenbucket v0.0.0-20230807174530-cc333fc44b06 // indirect
	github.com/danieljoos/wincred v1.2.3 // indirect
	github.com/getsentry/sentry-go v0.27.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/go-logr/logr v1.4.4 // indirect
	github.com/go-logr/stdr v1.2.2 // indirect
	github.com/godbus/dbus/v5 v5.2.2 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/snappy v0.0.5-0.20231225225746-43d5d4cd4e0e // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/google/wire v0.7.0 // indirect
	github.com/googleapis/gax-go/v2 v2.24.1 // indirect
	github.com/gtank/ristretto255 v0.2.0 // indirect
	github.com/hashicorp/golang-lru/v2 v2.0.7 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/klauspost/compress v1.20.1 // indirect
	github.com/klauspost/cpuid/v2 v2.4.0 // indirect
	github.com/kr/pretty v0.3.1 // indirect
	github.com/kr/text v0.2.0 // indirect
	github.com/libdns/libdns v1.1.1 // indirect
	github.com/mholt/acmez/v3 v3.1.7 // indirect
	github.com/miekg/dns v1.1.73 // indirect
	github.com/minio/minlz v1.0.1-0.20250507153514-87eb42fe8882 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/ncruces/go-sqlite3-wasm/v6 v6.4.35401 // indirect
	github.com/ncruces/julianday v1.0.0 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/zeebo/blake3 v0.2.4 // indirect
	go.opentelemetry.io/auto/sdk v1.2.1 // indirect
	go.opentelemetry.io/otel v1.46.0 // indirect
	go.opentelemetry.io/otel/metric v1.46.0 // indirect
	go.opentelemetry.io/otel/sdk v1.46.0 // indirect
	go.opentelemetry.io/otel/sdk/metric v1.46.0 // indirect
	go.opentelemetry.io/otel/trace v1.46.0 // indirect
	go.uber.org/multierr v1.11.0 // indirect
	go.uber.org/zap/exp v0.3.0 // indirect
	golang.org/x/exp v0.0.0-20240325151524-a685a6edb6d8 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/sync v0.24.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	golang.org/x/xerrors v0.0.0-20240903120638-7835f813f4da // indirect
	google.golang.org/api v0.297.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20260904194346-d0f1323225a4 // indirect
	google.golang.org/grpc v1.83.2 // indirect
	lukechampine.com/adiantum v1.1.1 // indirect
)
