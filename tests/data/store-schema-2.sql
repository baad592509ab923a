BEGIN TRANSACTION;
CREATE TABLE arbs (
	arb_id TEXT NOT NULL, 
	state TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	PRIMARY KEY (arb_id)
);
INSERT INTO "arbs" VALUES('1-1','planned',2);
CREATE TABLE balances (
	account TEXT NOT NULL, 
	asset TEXT NOT NULL, 
	number TEXT NOT NULL, 
	PRIMARY KEY (account, asset)
);
INSERT INTO "balances" VALUES('assets:kraken','BTC','2.35');
INSERT INTO "balances" VALUES('assets:kraken','USD','243976.25');
INSERT INTO "balances" VALUES('equity:opening','BTC','-2');
INSERT INTO "balances" VALUES('equity:opening','USD','-250000.25');
INSERT INTO "balances" VALUES('equity:exchange','BTC','-0.1');
INSERT INTO "balances" VALUES('equity:exchange','USD','6000');
INSERT INTO "balances" VALUES('expenses:fees:kraken','USD','24');
INSERT INTO "balances" VALUES('equity:adjustments','BTC','-0.25');
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
INSERT INTO "fills" VALUES('kraken','O-9','T-9',0,3,1700000000000000003,1700000000000000000,'ab0001000001000','{"venue":"kraken","instrument":"BTC/USD@kraken","base":"BTC","quote":"USD","client_order_id":"ab0001000001000","venue_order_id":"O-9","trade_id":"T-9","side":"buy","qty":"0.1","price":"60000","fee":{"number":"24","asset":"USD"},"liquidity":"taker","venue_ts_ns":1700000000000000000,"is_reversal":false}');
CREATE TABLE head (
	id INTEGER NOT NULL, 
	epoch BIGINT NOT NULL, 
	seq BIGINT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "head" VALUES(1,1,4,'be319847ef4c0a9a641a4696e71fb0c1f00365c1b30512615971ef86a01b430b');
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
INSERT INTO "journal" VALUES(1,1,1,1700000000000000001,'AccountSnapshotReceived','{"envelope":{"seq":1,"ts_ns":1700000000000000001,"event":{"type":"AccountSnapshotReceived","venue":"kraken","balances":[{"asset":"BTC","total":"2","reserved":"0"},{"asset":"USD","total":"250000.25","reserved":"0"}]}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":1,"ts_ns":1700000000000000001,"kind":"opening","reference":"opening|kraken","postings":[{"account":"assets:kraken","asset":"BTC","number":"2"},{"account":"equity:opening","asset":"BTC","number":"-2"},{"account":"assets:kraken","asset":"USD","number":"250000.25"},{"account":"equity:opening","asset":"USD","number":"-250000.25"}],"origin":""}],"standing":null}','0000000000000000000000000000000000000000000000000000000000000000','b4ef4b3ed547ea4cc037c20eeedce6169d69a28473a428a1f8bcc4b8ecdedaa4');
INSERT INTO "journal" VALUES(2,1,2,1700000000000000002,'TimerFired','{"envelope":{"seq":2,"ts_ns":1700000000000000002,"event":{"type":"TimerFired","key":""}},"outcome":{"commands":[{"type":"SubmitOrder","approved":{"intent":{"client_order_id":"ab0001000001000","arb_id":"1-1","purpose":"leg","venue":"kraken","instrument":"BTC/USD@kraken","symbol":"BTC/USD","base":"BTC","quote":"USD","side":"buy","qty":"0.1","limit_price":"60010","tif":"ioc","fee_rate":"0.004","decided_ts_ns":1700000000000000000,"deadline_ns":1700000003000000000},"rules":["all"]}}],"decisions":[{"type":"ArbOpened","arb_id":"1-1","buy":"BTC/USD@kraken","sell":"BTC/USD@kraken","qty":"0.1","buy_price":"60010","sell_price":"60010","edge_net_bps":"12","expected_quote":"7","book_recv_ts_ns":1700000000000000000,"decided_ts_ns":1700000000000000000,"stress_loss":"0","tail_bps":"0","conversion":null,"is_quote":false}]},"transactions":[],"standing":null}','b4ef4b3ed547ea4cc037c20eeedce6169d69a28473a428a1f8bcc4b8ecdedaa4','004070ab3419895902d2e1d930eb8a9e71302e6d58f76d1d6c31e72ef13dacf8');
INSERT INTO "journal" VALUES(3,1,3,1700000000000000003,'OrderFilled','{"envelope":{"seq":3,"ts_ns":1700000000000000003,"event":{"type":"OrderFilled","fill":{"venue":"kraken","instrument":"BTC/USD@kraken","base":"BTC","quote":"USD","client_order_id":"ab0001000001000","venue_order_id":"O-9","trade_id":"T-9","side":"buy","qty":"0.1","price":"60000","fee":{"number":"24","asset":"USD"},"liquidity":"taker","venue_ts_ns":1700000000000000000,"is_reversal":false}}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":3,"ts_ns":1700000000000000003,"kind":"fill","reference":"fill|kraken|O-9|T-9","postings":[{"account":"assets:kraken","asset":"BTC","number":"0.1"},{"account":"equity:exchange","asset":"BTC","number":"-0.1"},{"account":"assets:kraken","asset":"USD","number":"-6000"},{"account":"equity:exchange","asset":"USD","number":"6000"},{"account":"expenses:fees:kraken","asset":"USD","number":"24"},{"account":"assets:kraken","asset":"USD","number":"-24"}],"origin":""}],"standing":null}','004070ab3419895902d2e1d930eb8a9e71302e6d58f76d1d6c31e72ef13dacf8','13d277550a6f2948fc2f73172528e433bc4f1c7ae8521ebe73aa818c00fc467f');
INSERT INTO "journal" VALUES(4,1,4,1700000000000000004,'AdjustmentRecorded','{"envelope":{"seq":4,"ts_ns":1700000000000000004,"event":{"type":"AdjustmentRecorded","venue":"kraken","asset":"BTC","qty":"0.25","reason":"found","actor":"ann"}},"outcome":{"commands":[],"decisions":[]},"transactions":[{"seq":4,"ts_ns":1700000000000000004,"kind":"adjustment","reference":"adjustment|kraken|BTC|1700000000000000004|4","postings":[{"account":"assets:kraken","asset":"BTC","number":"0.25"},{"account":"equity:adjustments","asset":"BTC","number":"-0.25"}],"origin":""}],"standing":null}','13d277550a6f2948fc2f73172528e433bc4f1c7ae8521ebe73aa818c00fc467f','be319847ef4c0a9a641a4696e71fb0c1f00365c1b30512615971ef86a01b430b');
CREATE TABLE kill_switch (
	id INTEGER NOT NULL, 
	ts_ns BIGINT NOT NULL, 
	killed BOOLEAN NOT NULL, 
	actor TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (id)
);
CREATE TABLE lessons (
	kind TEXT NOT NULL, 
	name TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (kind, name)
);
CREATE TABLE meta (
	name TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "meta" VALUES('schema','2');
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
INSERT INTO "orders" VALUES('ab0001000001000',2,0,'1-1','kraken','filled','O-9','0.1',NULL,NULL,'{"client_order_id":"ab0001000001000","arb_id":"1-1","purpose":"leg","venue":"kraken","instrument":"BTC/USD@kraken","symbol":"BTC/USD","base":"BTC","quote":"USD","side":"buy","qty":"0.1","limit_price":"60010","tif":"ioc","fee_rate":"0.004","decided_ts_ns":1700000000000000000,"deadline_ns":1700000003000000000}');
CREATE TABLE own_transfer_news (
	transfer TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	line INTEGER NOT NULL, 
	ts_ns BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (transfer, seq, line)
);
CREATE TABLE own_transfers (
	transfer TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	requested_ts_ns BIGINT NOT NULL, 
	intent TEXT NOT NULL, 
	PRIMARY KEY (transfer)
);
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
INSERT INTO "postings" VALUES('opening|kraken',2,'assets:kraken','USD','250000.25');
INSERT INTO "postings" VALUES('opening|kraken',3,'equity:opening','USD','-250000.25');
INSERT INTO "postings" VALUES('fill|kraken|O-9|T-9',0,'assets:kraken','BTC','0.1');
INSERT INTO "postings" VALUES('fill|kraken|O-9|T-9',1,'equity:exchange','BTC','-0.1');
INSERT INTO "postings" VALUES('fill|kraken|O-9|T-9',2,'assets:kraken','USD','-6000');
INSERT INTO "postings" VALUES('fill|kraken|O-9|T-9',3,'equity:exchange','USD','6000');
INSERT INTO "postings" VALUES('fill|kraken|O-9|T-9',4,'expenses:fees:kraken','USD','24');
INSERT INTO "postings" VALUES('fill|kraken|O-9|T-9',5,'assets:kraken','USD','-24');
INSERT INTO "postings" VALUES('adjustment|kraken|BTC|1700000000000000004|4',0,'assets:kraken','BTC','0.25');
INSERT INTO "postings" VALUES('adjustment|kraken|BTC|1700000000000000004|4',1,'equity:adjustments','BTC','-0.25');
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
CREATE TABLE transactions (
	reference TEXT NOT NULL, 
	seq BIGINT NOT NULL, 
	step BIGINT NOT NULL, 
	ts_ns BIGINT NOT NULL, 
	kind TEXT NOT NULL, 
	origin TEXT NOT NULL, 
	PRIMARY KEY (reference)
);
INSERT INTO "transactions" VALUES('opening|kraken',1,1,1700000000000000001,'opening','');
INSERT INTO "transactions" VALUES('fill|kraken|O-9|T-9',3,3,1700000000000000003,'fill','');
INSERT INTO "transactions" VALUES('adjustment|kraken|BTC|1700000000000000004|4',4,4,1700000000000000004,'adjustment','');
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
CREATE INDEX orders_by_arb ON orders (arb_id);
CREATE INDEX orders_by_state ON orders (state);
CREATE INDEX fills_by_venue_time ON fills (venue, venue_ts_ns);
CREATE INDEX fills_by_order ON fills (client_order_id);
CREATE INDEX fills_by_seq ON fills (seq);
COMMIT;
