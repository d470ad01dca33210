// The TiDB of the tests: a tidb-server on its embedded store, in one process.
//
//	tidb-server CONFIG
//
// It differs from TiDB's own program in one point: the row tikv_gc_safe_point of mysql.tidb counts for running
// sessions too, as it does where TiKV collects garbage. The embedded store has no garbage collection, so without it
// a session would read an old snapshot for ever.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/pingcap/tidb/pkg/config"
	"github.com/pingcap/tidb/pkg/ddl"
	"github.com/pingcap/tidb/pkg/domain"
	"github.com/pingcap/tidb/pkg/executor"
	"github.com/pingcap/tidb/pkg/kv"
	"github.com/pingcap/tidb/pkg/metrics"
	"github.com/pingcap/tidb/pkg/parser/mysql"
	"github.com/pingcap/tidb/pkg/resourcemanager"
	"github.com/pingcap/tidb/pkg/server"
	"github.com/pingcap/tidb/pkg/session"
	"github.com/pingcap/tidb/pkg/sessionctx/variable"
	kvstore "github.com/pingcap/tidb/pkg/store"
	"github.com/pingcap/tidb/pkg/store/mockstore"
	"github.com/pingcap/tidb/pkg/util/chunk"
	"github.com/pingcap/tidb/pkg/util/logutil"
	"github.com/pingcap/tidb/pkg/util/sqlexec"
	"github.com/tikv/client-go/v2/oracle"
)

const (
	safePointPoll   = 100 * time.Millisecond
	safePointFormat = "20060102-15:04:05 -0700"
	safePointQuery  = "SELECT variable_value FROM mysql.tidb WHERE variable_name = 'tikv_gc_safe_point'"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: tidb-server CONFIG")
		os.Exit(2)
	}
	unchanged := func(*config.Config, *flag.FlagSet) {}
	config.InitializeConfig(os.Args[1], false, true, unchanged, flag.NewFlagSet("", flag.ExitOnError))
	cfg := config.GetGlobalConfig()
	must(logutil.InitLogger(cfg.Log.ToLogConfig()))
	metrics.InitMetrics()
	setVariables(cfg)
	executor.Start()
	resourcemanager.InstanceResourceManager.Start()

	must(kvstore.Register("unistore", mockstore.EmbedUnistoreDriver{}))
	storage, err := kvstore.New("unistore://" + cfg.Path)
	must(err)
	must(ddl.StartOwnerManager(context.Background(), storage))
	dom, err := session.BootstrapSession(storage)
	must(err)
	// The worker asks @@tidb_config which store there is; before the bootstrap TiDB would look for a PD.
	config.UpdateGlobal(func(c *config.Config) { c.Store = "tikv" })
	go followSafePoint(storage)
	serve(cfg, storage, dom)
}

// What TiDB's own program sets from its configuration, as far as the tests see a difference.
func setVariables(cfg *config.Config) {
	if cfg.ServerVersion != "" {
		mysql.ServerVersion = cfg.ServerVersion
		variable.SetSysVar(variable.Version, cfg.ServerVersion)
	}
	variable.SetSysVar(variable.Port, fmt.Sprint(cfg.Port))
	variable.SetSysVar(variable.DataDir, cfg.Path)
	session.SetSchemaLease(config.DefSchemaLease)
	session.SetStatsLease(0)
	kv.TxnTotalSizeLimit.Store(config.SuperLargeTxnSize)
	kv.TxnEntrySizeLimit.Store(cfg.Performance.TxnEntrySizeLimit)
	executor.GlobalDiskUsageTracker.SetBytesLimit(cfg.TempStorageQuota)
	executor.GlobalMemoryUsageTracker.SetBytesLimit(-1)
	chunk.InitChunkAllocSize(cfg.TiDBMaxReuseChunk, cfg.TiDBMaxReuseColumn)
}

func serve(cfg *config.Config, storage kv.Storage, dom *domain.Domain) {
	svr, err := server.NewServer(cfg, server.NewTiDBDriver(storage))
	must(err)
	svr.SetDomain(dom)
	go dom.ServerMemoryLimitHandle().SetSessionManager(svr).Run()
	dom.InfoSyncer().SetSessionManager(svr)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		// The data is one run's: open transactions need no time to end.
		os.Exit(0)
	}()
	must(svr.Run(dom))
}

// Makes the row's time the point before which no session can read, as a PD does for TiKV.
func followSafePoint(storage kv.Storage) {
	cache := storage.(interface{ UpdateSPCache(uint64, time.Time) })
	se, err := session.CreateSession(storage)
	must(err)
	for ; ; time.Sleep(safePointPoll) {
		rows, _, err := se.(sqlexec.RestrictedSQLExecutor).ExecRestrictedSQL(
			kv.WithInternalSourceType(context.Background(), kv.InternalTxnOthers), nil, safePointQuery)
		if err != nil || len(rows) == 0 {
			continue
		}
		point, err := time.Parse(safePointFormat, rows[0].GetString(0))
		if err != nil {
			continue
		}
		// Nobody can collect what is still to come: what reads the newest versions, as this does, goes on.
		if now := time.Now(); point.After(now) {
			point = now
		}
		cache.UpdateSPCache(oracle.GoTimeToTS(point), time.Now())
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "tidb-server:", err)
		os.Exit(1)
	}
}
