// The worker's dumpling: the rows of the tables that it is told, at one TSO of a TiDB. It writes no definitions.
//
// It reads its orders as JSON from standard input, so that no password is on its command line. On standard output it
// says what it does in lines of JSON: the library's own, "progress", and at last "dumped" or "failed". It opens no port.
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"text/template"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/pingcap/tidb/br/pkg/storage"
	"github.com/pingcap/tidb/dumpling/export"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type orders struct {
	Host, User string
	Password   []byte
	Port       int
	// PEM of the one certificate that the server may have: of a CA's the library would not look at the host. Where it
	// is empty there is no TLS.
	Certificate string
	// Files with a certificate of our own and its key, empty if there is none.
	ClientCertificate, ClientKey string
	TSO                          string
	// What each session sets.
	Variables map[string]string
	Folder    string
	// Stem is the name of the table's files without number and ending.
	Tables        []struct{ Database, Table, Stem string }
	Threads, CPUs int
	// Bytes that the program tries to keep below.
	Memory int64
	// Rows of a file, bytes of a file and of a statement; 0: no limit, and for a statement the library's own.
	Rows, FileSize, StatementSize uint64
	CompleteInsert                bool
}

func main() {
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{
		LevelKey: "level", MessageKey: "message", EncodeLevel: zapcore.LowercaseLevelEncoder,
		EncodeDuration: zapcore.StringDurationEncoder,
	}), zapcore.Lock(os.Stdout), zap.InfoLevel))
	if err := dump(log); err != nil {
		log.Error("failed", zap.String("error", err.Error()))
		os.Exit(1)
	}
	log.Info("dumped")
}

func dump(log *zap.Logger) error {
	var o orders
	if err := json.NewDecoder(os.Stdin).Decode(&o); err != nil {
		return err
	}
	if _, err := strconv.ParseUint(o.TSO, 10, 64); err != nil {
		return fmt.Errorf("the TSO: %w", err)
	}
	runtime.GOMAXPROCS(o.CPUs)
	if o.Memory > 0 {
		debug.SetMemoryLimit(o.Memory)
	}
	log.Info("dumpling", zap.String("version", version()))
	local, err := storage.NewLocalStorage(o.Folder)
	if err != nil {
		return err
	}
	into := &folder{LocalStorage: local}
	conf := export.DefaultConfig()
	conf.Host, conf.Port, conf.User, conf.Password = o.Host, o.Port, o.User, string(o.Password)
	conf.Security.SSLCABytes = []byte(o.Certificate)
	conf.Security.CertPath, conf.Security.KeyPath = o.ClientCertificate, o.ClientKey
	if o.Certificate == "" {
		mysql.RegisterDialContext("plain", dialPlain)
		conf.Net = "plain"
	}
	conf.StatusAddr, conf.Logger, conf.ExtStorage = "", log, into
	conf.NoSchemas, conf.CompleteInsert = true, o.CompleteInsert
	conf.Threads, conf.Rows, conf.FileSize = o.Threads, o.Rows, o.FileSize
	if o.StatementSize > 0 {
		conf.StatementSize = o.StatementSize
	}
	conf.Consistency, conf.Snapshot = "snapshot", o.TSO
	// The library sets it only where it finds a safe point of TiKV, and else reads the rows of now.
	conf.SessionParams = map[string]any{"tidb_snapshot": o.TSO}
	for name, value := range o.Variables {
		conf.SessionParams[name] = value
	}
	chooseTables(conf, o)

	dumper, err := export.NewDumper(context.Background(), conf)
	if err != nil {
		return err
	}
	if len(o.Tables) == 0 {
		// The library would ask for the tables of no database, which is no SQL.
		return nil
	}
	go progress(dumper, log)
	if err := dumper.Dump(); err != nil {
		return err
	}
	if failed := into.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

func version() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if module.Path == "github.com/pingcap/tidb" {
			return "dumpling " + module.Version
		}
	}
	return "dumpling"
}

const clientSSL = 0x0800

// Hides from the library that the server has TLS: it would use it, trust any server, and send it the password as it is
// if it asks for that.
func dialPlain(ctx context.Context, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	head := make([]byte, 4)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, err
	}
	greeting := make([]byte, int(head[0])|int(head[1])<<8|int(head[2])<<16)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return nil, err
	}
	// The version ends with a 0; an id, half of the salt and a filler come before the flags.
	if flags := bytes.IndexByte(greeting, 0) + 1 + 4 + 8 + 1; flags+2 <= len(greeting) && greeting[0] == 10 {
		without := binary.LittleEndian.Uint16(greeting[flags:]) &^ clientSSL
		binary.LittleEndian.PutUint16(greeting[flags:], without)
	}
	return &plain{conn, io.MultiReader(bytes.NewReader(append(head, greeting...)), conn)}, nil
}

type plain struct {
	net.Conn
	from io.Reader
}

func (p *plain) Read(b []byte) (int, error) { return p.from.Read(b) }

const policies = "placement-policy"

// Views and sequences have no rows. Placement policies the library writes whatever it is told.
func chooseTables(conf *export.Config, o orders) {
	stems := map[[2]string]string{}
	conf.SpecifiedTables, conf.Tables = true, export.DatabaseTables{}
	for _, t := range o.Tables {
		stems[[2]string{t.Database, t.Table}] = t.Stem
		conf.Tables[t.Database] = append(conf.Tables[t.Database], &export.TableInfo{Name: t.Table})
	}
	stem := func(database, table string) string { return stems[[2]string{database, table}] }
	// The library's own numbers have nine or thirteen digits, as it happens.
	names := `{{define "data"}}{{stem .DB .Table}}.{{printf "%09d%04d" .ChunkIndex .FileIndex}}{{end}}` +
		`{{define "placement-policy"}}` + policies + `{{end}}`
	conf.OutputFileTemplate = template.Must(template.New("").Funcs(template.FuncMap{"stem": stem}).Parse(names))
}

func progress(dumper *export.Dumper, log *zap.Logger) {
	before := 0.0
	for range time.Tick(time.Second) {
		if status := dumper.GetStatus(); status.FinishedRows != before {
			before = status.FinishedRows
			log.Info("progress", zap.Float64("rows", status.FinishedRows), zap.Float64("bytes", status.FinishedBytes))
		}
	}
}

// Where the library writes to. When a connection breaks, it closes a file that looks whole, and would write it again:
// no name is written twice here.
type folder struct {
	*storage.LocalStorage
	names sync.Map
	// The first error. The library does not tell of those of its file metadata.
	failed atomic.Pointer[error]
}

func (f *folder) Create(_ context.Context, name string, _ *storage.WriterOption) (storage.ExternalFileWriter, error) {
	if name == policies+".sql" {
		return discarded{}, nil
	}
	// Not on the volume: the worker takes away what is closed.
	if _, twice := f.names.LoadOrStore(name, true); twice {
		return nil, f.seen(fmt.Errorf("%s was closed before its end", name))
	}
	opened, err := os.OpenFile(filepath.Join(f.Base(), name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	return &file{File: opened, in: f, head: filepath.Ext(name) == ".sql"}, f.seen(err)
}

func (f *folder) seen(err error) error {
	if err != nil {
		f.failed.CompareAndSwap(nil, &err)
	}
	return err
}

type file struct {
	*os.File
	in   *folder
	head bool
}

// What the head of each file says of the rows in it, and what is so.
var said, isSo = []byte("SET NAMES binary*/;\n"), []byte("SET NAMES utf8mb4*/;\n/*!40103 SET TIME_ZONE='+00:00' */;\n")

func (f *file) Write(_ context.Context, p []byte) (int, error) {
	text := p
	if f.head {
		f.head = false
		before, after, found := bytes.Cut(p, said)
		if !found {
			return 0, f.in.seen(errors.New("the head of a file is not the one that is known"))
		}
		text = bytes.Join([][]byte{before, after}, isSo)
	}
	_, err := f.File.Write(text)
	return len(p), f.in.seen(err)
}

func (f *file) Close(context.Context) error { return f.in.seen(f.File.Close()) }

type discarded struct{}

func (discarded) Write(_ context.Context, p []byte) (int, error) { return len(p), nil }
func (discarded) Close(context.Context) error                    { return nil }
