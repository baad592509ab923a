BEGIN TRANSACTION;
CREATE TABLE arbs (
	arb_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (arb_id)
);
INSERT INTO "arbs" VALUES('1-1','one_sided',11);
CREATE TABLE balances (
	account TEXT NOT NULL, 
	asset TEXT NOT NULL, 
	number TEXT NOT NULL, 
	PRIMARY KEY (account, asset)
);
INSERT INTO "balances" VALUES('assets:coinbase','BTC','2');
INSERT INTO "balances" VALUES('assets:coinbase','USD','90000.5');
INSERT INTO "balances" VALUES('assets:kraken','BTC','1.5998');
INSERT INTO "balances" VALUES('assets:kraken','ETH','3');
INSERT INTO "balances" VALUES('assets:kraken','USD','83952.5');
INSERT INTO "balances" VALUES('equity:exchange','BTC','-0.1');
INSERT INTO "balances" VALUES('equity:exchange','USD','6000');
INSERT INTO "balances" VALUES('equity:opening','BTC','-4');
INSERT INTO "balances" VALUES('equity:opening','USD','-180001');
INSERT INTO "balances" VALUES('expenses:fees:kraken','USD','48');
INSERT INTO "balances" VALUES('expenses:transfers:kraken','BTC','0.0002');
INSERT INTO "balances" VALUES('transit:unmatched','BTC','0.5');
INSERT INTO "balances" VALUES('transit:unmatched','ETH','-3');
CREATE TABLE fills (
	venue TEXT NOT NULL, 
	venue_order_id TEXT NOT NULL, 
	trade_id TEXT NOT NULL, 
	is_reversal BOOLEAN NOT NULL, 
	seq BIGINT NOT NULL, 
	ts_ns BIGINT NOT NULL, 
	venue_ts_ns BIGINT NOT NULL, 
	client_order_id TEXT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (venue, venue_order_id, trade_id, is_reversal)
);
INSERT INTO "fills" VALUES('kraken','O-1','T-1',0,8,1700000000000000008,1700000000000000000,'ab0001000001000','{"venue":"kraken","instrument":"BTC/USD@kraken","base":"BTC","quote":"USD","client_order_id":"ab0001000001000","venue_order_id":"O-1","trade_id":"T-1","side":"buy","qty":"0.04","price":"60000","fee":{"number":"24","asset":"USD"},"liquidity":"taker","venue_ts_ns":1700000000000000000,"is_reversal":false}');
INSERT INTO "fills" VALUES('kraken','O-1','T-2',0,9,1700000000000000009,1700000000000000007,'ab0001000001000','{"venue":"kraken","instrument":"BTC/USD@kraken","base":"BTC","quote":"USD","client_order_id":"ab0001000001000","venue_order_id":"O-1","trade_id":"T-2","side":"buy","qty":"0.06","price":"60000","fee":{"number":"24","asset":"USD"},"liquidity":"taker","venue_ts_ns":1700000000000000007,"is_reversal":false}');
CREATE TABLE head (
	id INTEGER NOT NULL, 
	epoch BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "head" VALUES(1,1,13,'ac5c2cbffa8d3705224c8d88c903d6c6aa5b123149924fafee95f00e1eb8a6bd');
CREATE TABLE journal (
	seq BIGINT NOT NULL, 
	epoch BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	ts_ns BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	body TEXT NOT NULL, 
	prev_hash TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (seq), 
	UNIQUE (epoch, step), 
	FOREIGN KEY(epoch) REFERENCES runs (epoch)
);
INSERT INTO "journal" VALUES(1,1,1,1700000000000000001,'RunStarted','{"envelope":{"seq":1,"ts_ns":1700000000000000001,"event":{"type":"RunStarted","run_id":"r","epoch":1,"code_version":"1","config_digest":"c","mode":"demo"}},"outcome":{"commands":[],"decisions":[]},"transactions":[],"standing":null}','0000000000000000000000000000000000000000000000000000000000000000','752f582d883369ff83b12369af329cd88b637274deffd3d61b57121d7f2f136e');
INSERT INTO "journal" VALUES(2,1,2,1700000000000000002,'AccountSnapshotReceived','{"envelope":{"seq":2,"ts_ns":1700000000000000002,"event":{"type":"AccountSnapshotReceived","venue":"kraken","balances":[{"asset":"BTC","total":"2","reserved":"0"},{"asset":"USD","total":"90000.5","reserved":"0"}]}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":2,"ts_ns":1700000000000000002,"kind":"opening","reference":"opening|kraken","postings":[{"account":"assets:kraken","asset":"BTC","number":"2"},{"account":"equity:opening","asset":"BTC","number":"-2"},{"account":"assets:kraken","asset":"USD","number":"90000.5"},{"account":"equity:opening","asset":"USD","number":"-90000.5"}]}],"standing":null}','752f582d883369ff83b12369af329cd88b637274deffd3d61b57121d7f2f136e','b21cc37f6869c30db88d9293694589c562babb7520a319b7cf6129c79ee6dcfb');
INSERT INTO "journal" VALUES(3,1,3,1700000000000000003,'AccountSnapshotReceived','{"envelope":{"seq":3,"ts_ns":1700000000000000003,"event":{"type":"AccountSnapshotReceived","venue":"coinbase","balances":[{"asset":"BTC","total":"2","reserved":"0"},{"asset":"USD","total":"90000.5","reserved":"0"}]}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":3,"ts_ns":1700000000000000003,"kind":"opening","reference":"opening|coinbase","postings":[{"account":"assets:coinbase","asset":"BTC","number":"2"},{"account":"equity:opening","asset":"BTC","number":"-2"},{"account":"assets:coinbase","asset":"USD","number":"90000.5"},{"account":"equity:opening","asset":"USD","number":"-90000.5"}]}],"standing":null}','b21cc37f6869c30db88d9293694589c562babb7520a319b7cf6129c79ee6dcfb','f617537b8c218dfb255f454cbbf84795e59e93ec9ce74ddf2d41adbf89afcfab');
INSERT INTO "journal" VALUES(4,1,4,1700000000000000004,'TimerFired','{"envelope":{"seq":4,"ts_ns":1700000000000000004,"event":{"type":"TimerFired","key":"t"}},"outcome":{"commands":[{"type":"SubmitOrder","approved":{"intent":{"client_order_id":"ab0001000001000","arb_id":"1-1","purpose":"leg","venue":"kraken","instrument":"BTC/USD@kraken","symbol":"BTC/USD","base":"BTC","quote":"USD","side":"buy","qty":"0.1","limit_price":"60010","tif":"ioc","fee_rate":"0.004","decided_ts_ns":1700000000000000000,"deadline_ns":1700000003000000000},"rules":["all"]}},{"type":"SubmitOrder","approved":{"intent":{"client_order_id":"ab0001000001100","arb_id":"1-1","purpose":"leg","venue":"coinbase","instrument":"BTC/USD@coinbase","symbol":"BTC/USD","base":"BTC","quote":"USD","side":"sell","qty":"0.1","limit_price":"60010","tif":"ioc","fee_rate":"0.004","decided_ts_ns":1700000000000000000,"deadline_ns":1700000003000000000},"rules":["all"]}}],"decisions":[{"type":"ArbOpened","arb_id":"1-1","buy":"BTC/USD@kraken","sell":"BTC/USD@coinbase","qty":"0.1","buy_price":"60010","sell_price":"60010","edge_net_bps":"12","expected_quote":"7","book_recv_ts_ns":1700000000000000000,"decided_ts_ns":1700000000000000000}]},"transactions":[],"standing":null}','f617537b8c218dfb255f454cbbf84795e59e93ec9ce74ddf2d41adbf89afcfab','88dc969eadb4b831e604854aeda0ccffeba4527e26baf35b385e0064d0b4dfb7');
INSERT INTO "journal" VALUES(5,1,5,1700000000000000005,'OrderSent','{"envelope":{"seq":5,"ts_ns":1700000000000000005,"event":{"type":"OrderSent","client_order_id":"ab0001000001000"}},"outcome":{"commands":[],"decisions":[]},"transactions":[],"standing":null}','88dc969eadb4b831e604854aeda0ccffeba4527e26baf35b385e0064d0b4dfb7','45163701cc43f5c5dac592874e2b982d147e2ad23a8f87fad3651711ffe8b177');
INSERT INTO "journal" VALUES(6,1,6,1700000000000000006,'OrderSent','{"envelope":{"seq":6,"ts_ns":1700000000000000006,"event":{"type":"OrderSent","client_order_id":"ab0001000001100"}},"outcome":{"commands":[],"decisions":[]},"transactions":[],"standing":null}','45163701cc43f5c5dac592874e2b982d147e2ad23a8f87fad3651711ffe8b177','9e52840e7348496228c569a5cc9634a0a1aeb6a768f4788714ff10318dba41fa');
INSERT INTO "journal" VALUES(7,1,7,1700000000000000007,'OrderAccepted','{"envelope":{"seq":7,"ts_ns":1700000000000000007,"event":{"type":"OrderAccepted","client_order_id":"ab0001000001000","venue_order_id":"O-1"}},"outcome":{"commands":[],"decisions":[{"type":"ArbMoved","arb_id":"1-1","before":"working","after":"working","residual":"0"}]},"transactions":[],"standing":null}','9e52840e7348496228c569a5cc9634a0a1aeb6a768f4788714ff10318dba41fa','67bdefbf550f206eda6d352ae52f2ac84fe514a1468e43ff4be2cb559e07053e');
INSERT INTO "journal" VALUES(8,1,8,1700000000000000008,'OrderFilled','{"envelope":{"seq":8,"ts_ns":1700000000000000008,"event":{"type":"OrderFilled","fill":{"venue":"kraken","instrument":"BTC/USD@kraken","base":"BTC","quote":"USD","client_order_id":"ab0001000001000","venue_order_id":"O-1","trade_id":"T-1","side":"buy","qty":"0.04","price":"60000","fee":{"number":"24","asset":"USD"},"liquidity":"taker","venue_ts_ns":1700000000000000000,"is_reversal":false}}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":8,"ts_ns":1700000000000000008,"kind":"fill","reference":"fill|kraken|O-1|T-1","postings":[{"account":"assets:kraken","asset":"BTC","number":"0.04"},{"account":"equity:exchange","asset":"BTC","number":"-0.04"},{"account":"assets:kraken","asset":"USD","number":"-2400"},{"account":"equity:exchange","asset":"USD","number":"2400"},{"account":"expenses:fees:kraken","asset":"USD","number":"24"},{"account":"assets:kraken","asset":"USD","number":"-24"}]}],"standing":null}','67bdefbf550f206eda6d352ae52f2ac84fe514a1468e43ff4be2cb559e07053e','144f55e746f4dc925c918e14028b6a72210cc097c2a43ff9ea817aaf7a54ca7e');
INSERT INTO "journal" VALUES(9,1,9,1700000000000000009,'OrderFilled','{"envelope":{"seq":9,"ts_ns":1700000000000000009,"event":{"type":"OrderFilled","fill":{"venue":"kraken","instrument":"BTC/USD@kraken","base":"BTC","quote":"USD","client_order_id":"ab0001000001000","venue_order_id":"O-1","trade_id":"T-2","side":"buy","qty":"0.06","price":"60000","fee":{"number":"24","asset":"USD"},"liquidity":"taker","venue_ts_ns":1700000000000000007,"is_reversal":false}}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":9,"ts_ns":1700000000000000009,"kind":"fill","reference":"fill|kraken|O-1|T-2","postings":[{"account":"assets:kraken","asset":"BTC","number":"0.06"},{"account":"equity:exchange","asset":"BTC","number":"-0.06"},{"account":"assets:kraken","asset":"USD","number":"-3600"},{"account":"equity:exchange","asset":"USD","number":"3600"},{"account":"expenses:fees:kraken","asset":"USD","number":"24"},{"account":"assets:kraken","asset":"USD","number":"-24"}]}],"standing":null}','144f55e746f4dc925c918e14028b6a72210cc097c2a43ff9ea817aaf7a54ca7e','c2688e21042f77e147d71e950d607c425b86b594d300c328087dd656894ff5f0');
INSERT INTO "journal" VALUES(10,1,10,1700000000000000010,'OrderFilled','{"envelope":{"seq":10,"ts_ns":1700000000000000010,"event":{"type":"OrderFilled","fill":{"venue":"kraken","instrument":"BTC/USD@kraken","base":"BTC","quote":"USD","client_order_id":"ab0001000001000","venue_order_id":"O-1","trade_id":"T-2","side":"buy","qty":"0.06","price":"60000","fee":{"number":"24","asset":"USD"},"liquidity":"taker","venue_ts_ns":1700000000000000007,"is_reversal":false}}},"outcome":{"commands":[],"decisions":[]},"transactions":[],"standing":null}','c2688e21042f77e147d71e950d607c425b86b594d300c328087dd656894ff5f0','d0e946f40ce6230b92d070fbc66944bd361d964f3f5dedc6698e1882aadbcc47');
INSERT INTO "journal" VALUES(11,1,11,1700000000000000011,'OrderCanceled','{"envelope":{"seq":11,"ts_ns":1700000000000000011,"event":{"type":"OrderCanceled","client_order_id":"ab0001000001100","filled_qty":"0","reason":""}},"outcome":{"commands":[],"decisions":[{"type":"ArbMoved","arb_id":"1-1","before":"working","after":"one_sided","residual":"0"}]},"transactions":[],"standing":null}','d0e946f40ce6230b92d070fbc66944bd361d964f3f5dedc6698e1882aadbcc47','220e259777df31f84a7bb40509319531bd0b6fe2b926c7c5f6e4474406b88505');
INSERT INTO "journal" VALUES(12,1,12,1700000000000000012,'TransferReported','{"envelope":{"seq":12,"ts_ns":1700000000000000012,"event":{"type":"TransferReported","venue":"kraken","transfer_id":"D1","asset":"ETH","qty":"3","fee":"0","state":"done","venue_ts_ns":3400000000000000000}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":12,"ts_ns":1700000000000000012,"kind":"transfer","reference":"transfer|kraken|D1|done","postings":[{"account":"assets:kraken","asset":"ETH","number":"3"},{"account":"transit:unmatched","asset":"ETH","number":"-3"}]}],"standing":null}','220e259777df31f84a7bb40509319531bd0b6fe2b926c7c5f6e4474406b88505','d262d56cb4e1782be460861aa56b99cfd0ad40ee8aeb6e224c0aa3fd092a8f31');
INSERT INTO "journal" VALUES(13,1,13,1700000000000000013,'TransferReported','{"envelope":{"seq":13,"ts_ns":1700000000000000013,"event":{"type":"TransferReported","venue":"kraken","transfer_id":"W1","asset":"BTC","qty":"-0.5","fee":"0.0002","state":"done","venue_ts_ns":3400000000000000000}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":13,"ts_ns":1700000000000000013,"kind":"transfer","reference":"transfer|kraken|W1|done","postings":[{"account":"assets:kraken","asset":"BTC","number":"-0.5002"},{"account":"transit:unmatched","asset":"BTC","number":"0.5"},{"account":"expenses:transfers:kraken","asset":"BTC","number":"0.0002"}]}],"standing":{"type":"StandingRestored","killed":false,"paused":true,"latched":["loss_day"],"day":"2026-11-22","realised_day":"-1.5","realised_total":"12.25","realised_peak":"20","arbs_flat":3,"arbs_stranded":0,"carried":[]}}','d262d56cb4e1782be460861aa56b99cfd0ad40ee8aeb6e224c0aa3fd092a8f31','ac5c2cbffa8d3705224c8d88c903d6c6aa5b123149924fafee95f00e1eb8a6bd');
CREATE TABLE kill_switch (
	id INTEGER NOT NULL, 
	ts_ns BIGINT NOT NULL, 
	killed BOOLEAN NOT NULL, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "kill_switch" VALUES(1,1700000000000000000,1,'test','a row of its own');
INSERT INTO "kill_switch" VALUES(2,1700000000000000000,0,'test','and back');
CREATE TABLE meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema','1');
INSERT INTO "meta" VALUES('mode','demo');
CREATE TABLE orders (
	client_order_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	line INTEGER NOT NULL, 
	arb_id TEXT NOT NULL, 
	venue TEXT NOT NULL, 
	state TEXT NOT NULL, 
	venue_order_id TEXT, 
	filled_qty TEXT NOT NULL, 
	end_state TEXT, 
	end_qty TEXT, 
	intent TEXT NOT NULL, 
	PRIMARY KEY (client_order_id)
);
INSERT INTO "orders" VALUES('ab0001000001000',4,0,'1-1','kraken','filled','O-1','0.1',NULL,NULL,'{"client_order_id":"ab0001000001000","arb_id":"1-1","purpose":"leg","venue":"kraken","instrument":"BTC/USD@kraken","symbol":"BTC/USD","base":"BTC","quote":"USD","side":"buy","qty":"0.1","limit_price":"60010","tif":"ioc","fee_rate":"0.004","decided_ts_ns":1700000000000000000,"deadline_ns":1700000003000000000}');
INSERT INTO "orders" VALUES('ab0001000001100',4,1,'1-1','coinbase','canceled',NULL,'0','canceled','0','{"client_order_id":"ab0001000001100","arb_id":"1-1","purpose":"leg","venue":"coinbase","instrument":"BTC/USD@coinbase","symbol":"BTC/USD","base":"BTC","quote":"USD","side":"sell","qty":"0.1","limit_price":"60010","tif":"ioc","fee_rate":"0.004","decided_ts_ns":1700000000000000000,"deadline_ns":1700000003000000000}');
CREATE TABLE postings (
	reference TEXT NOT NULL, 
	line INTEGER NOT NULL, 
	account TEXT NOT NULL, 
	asset TEXT NOT NULL, 
	number TEXT NOT NULL, 
	PRIMARY KEY (reference, line), 
	FOREIGN KEY(reference) REFERENCES transactions (reference)
);
INSERT INTO "postings" VALUES('opening|kraken',0,'assets:kraken','BTC','2');
INSERT INTO "postings" VALUES('opening|kraken',1,'equity:opening','BTC','-2');
INSERT INTO "postings" VALUES('opening|kraken',2,'assets:kraken','USD','90000.5');
INSERT INTO "postings" VALUES('opening|kraken',3,'equity:opening','USD','-90000.5');
INSERT INTO "postings" VALUES('opening|coinbase',0,'assets:coinbase','BTC','2');
INSERT INTO "postings" VALUES('opening|coinbase',1,'equity:opening','BTC','-2');
INSERT INTO "postings" VALUES('opening|coinbase',2,'assets:coinbase','USD','90000.5');
INSERT INTO "postings" VALUES('opening|coinbase',3,'equity:opening','USD','-90000.5');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-1',0,'assets:kraken','BTC','0.04');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-1',1,'equity:exchange','BTC','-0.04');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-1',2,'assets:kraken','USD','-2400');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-1',3,'equity:exchange','USD','2400');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-1',4,'expenses:fees:kraken','USD','24');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-1',5,'assets:kraken','USD','-24');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-2',0,'assets:kraken','BTC','0.06');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-2',1,'equity:exchange','BTC','-0.06');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-2',2,'assets:kraken','USD','-3600');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-2',3,'equity:exchange','USD','3600');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-2',4,'expenses:fees:kraken','USD','24');
INSERT INTO "postings" VALUES('fill|kraken|O-1|T-2',5,'assets:kraken','USD','-24');
INSERT INTO "postings" VALUES('transfer|kraken|D1|done',0,'assets:kraken','ETH','3');
INSERT INTO "postings" VALUES('transfer|kraken|D1|done',1,'transit:unmatched','ETH','-3');
INSERT INTO "postings" VALUES('transfer|kraken|W1|done',0,'assets:kraken','BTC','-0.5002');
INSERT INTO "postings" VALUES('transfer|kraken|W1|done',1,'transit:unmatched','BTC','0.5');
INSERT INTO "postings" VALUES('transfer|kraken|W1|done',2,'expenses:transfers:kraken','BTC','0.0002');
CREATE TABLE runs (
	epoch BIGINT NOT NULL, 
	run_id TEXT NOT NULL, 
	mode TEXT NOT NULL, 
	code_version TEXT NOT NULL, 
	config_digest TEXT NOT NULL, 
	started_ns BIGINT NOT NULL, 
	ended_ns BIGINT, 
	PRIMARY KEY (epoch)
);
INSERT INTO "runs" VALUES(1,'r','demo','1','c',1700000000000000000,1700000000000000000);
CREATE TABLE standing (
	id INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "standing" VALUES(1,13,'{"type":"StandingRestored","killed":false,"paused":true,"latched":["loss_day"],"day":"2026-11-22","realised_day":"-1.5","realised_total":"12.25","realised_peak":"20","arbs_flat":3,"arbs_stranded":0,"carried":[]}');
CREATE TABLE transactions (
	reference TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	ts_ns BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	PRIMARY KEY (reference)
);
INSERT INTO "transactions" VALUES('opening|kraken',2,2,1700000000000000002,'opening');
INSERT INTO "transactions" VALUES('opening|coinbase',3,3,1700000000000000003,'opening');
INSERT INTO "transactions" VALUES('fill|kraken|O-1|T-1',8,8,1700000000000000008,'fill');
INSERT INTO "transactions" VALUES('fill|kraken|O-1|T-2',9,9,1700000000000000009,'fill');
INSERT INTO "transactions" VALUES('transfer|kraken|D1|done',12,12,1700000000000000012,'transfer');
INSERT INTO "transactions" VALUES('transfer|kraken|W1|done',13,13,1700000000000000013,'transfer');
CREATE TABLE transfers (
	venue TEXT NOT NULL, 
	transfer_id TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	asset TEXT NOT NULL, 
	qty TEXT NOT NULL, 
	fee TEXT NOT NULL, 
	state TEXT NOT NULL, 
	venue_ts_ns BIGINT NOT NULL, 
	PRIMARY KEY (venue, transfer_id)
);
INSERT INTO "transfers" VALUES('kraken','D1',12,'ETH','3','0','done',3400000000000000000);
INSERT INTO "transfers" VALUES('kraken','W1',13,'BTC','-0.5','0.0002','done',3400000000000000000);
CREATE INDEX orders_by_state ON orders (state);
CREATE INDEX orders_by_arb ON orders (arb_id);
CREATE INDEX fills_by_seq ON fills (seq);
CREATE INDEX fills_by_venue_time ON fills (venue, venue_ts_ns);
CREATE INDEX fills_by_order ON fills (client_order_id);
COMMIT;
