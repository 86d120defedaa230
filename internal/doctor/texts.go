package doctor

import "github.com/psivisionhub/psi-router/internal/lang"

var (
	// Of configuration, flow and secrets.
	noConfiguration  = lang.Text{ES: "no hay ninguna: vale la de desarrollo, con claves que conoce todo el mundo", EN: "there is none: the development configuration applies, whose secrets everybody knows"}
	runInit          = lang.Text{ES: "corré psi-router init, o nombrala con --config", EN: "run psi-router init, or name one with --config"}
	psiVariables     = lang.Text{ES: "las variables PSI_", EN: "the PSI_ variables"}
	configurationOK  = lang.Text{ES: "%s está bien: %s", EN: "%s is ok: %s"}
	insecure         = lang.Text{ES: "insecure está puesto: nadie comprueba quién manda", EN: "insecure is on: the sender of webhooks is not checked"}
	removeInsecure   = lang.Text{ES: "dale a cada línea sus claves y sacá insecure", EN: "give each line its secrets and remove insecure"}
	builtInFlow      = lang.Text{ES: "el que viene con el programa", EN: "the built-in flow"}
	checkFlow        = lang.Text{ES: "psi-router flow check dice dónde", EN: "psi-router flow check says where"}
	flowOK           = lang.Text{ES: "%s se puede usar", EN: "%s can be used"}
	publicSecret     = lang.Text{ES: "%s es uno que conoce todo el mundo", EN: "%s is publicly known"}
	chooseSecret     = lang.Text{ES: "poné uno propio, como el de openssl rand -hex 16", EN: "choose your own, such as what openssl rand -hex 16 prints"}
	shortSecret      = lang.Text{ES: "%s es corto (%d letras)", EN: "%s is short (%d characters)"}
	copiedWhole      = lang.Text{ES: "fijate si se copió entero", EN: "check that all of it was copied"}
	readableByOthers = lang.Text{ES: "%s lo pueden leer otros (%04o)", EN: "%s can be read by others (%04o)"}
	secretsOK        = lang.Text{ES: "no falta ninguno, y no los puede leer cualquiera", EN: "none is missing, and others cannot read them"}

	// Of disk, store and clock.
	cannotCreateDir = lang.Text{ES: "data_dir %s no existe, y en %s no se puede crear", EN: "data_dir %s does not exist, and cannot be created in %s"}
	createDir       = lang.Text{ES: "creala para el usuario que corre el router: ", EN: "create it for the user that runs the router: "}
	dirAtStart      = lang.Text{ES: "data_dir %s se crea al arrancar", EN: "data_dir %s is created at start-up"}
	runAsUser       = lang.Text{ES: "corré esto como el usuario del router", EN: "run this as the router's user"}
	notDirectory    = lang.Text{ES: "data_dir %s no es una carpeta", EN: "data_dir %s is not a directory"}
	chooseAnother   = lang.Text{ES: "elegí otra", EN: "choose another"}
	notWritable     = lang.Text{ES: "en data_dir %s no se puede escribir", EN: "data_dir %s is not writable"}
	giveDir         = lang.Text{ES: "corré esto como el usuario del router, o dáselo: ", EN: "run this as the router's user, or give it to that user: "}
	openDir         = lang.Text{ES: "en data_dir %s puede mirar cualquiera (%04o)", EN: "data_dir %s can be read by others (%04o)"}
	dataDir         = lang.Text{ES: "data_dir %s", EN: "data_dir %s"}
	spaceLeft       = lang.Text{ES: "quedan %s libres en el disco", EN: "%s free on the disk"}
	makeRoom        = lang.Text{ES: "hacé lugar: sin disco nada se puede aceptar", EN: "make room: with a full disk nothing can be accepted"}
	sqliteEmpty     = lang.Text{ES: "SQLite: todavía no hay nada guardado", EN: "SQLite: nothing is stored yet"}
	sqliteSize      = lang.Text{ES: "SQLite: store.db tiene %s", EN: "SQLite: store.db is %s"}
	clockDiffers    = lang.Text{ES: "el reloj de %s difiere del de esta máquina en %s", EN: "the clock of %s differs from that of this machine by %s"}
	syncClocks      = lang.Text{ES: "sincronizalos: timedatectl set-ntp true", EN: "synchronise them: timedatectl set-ntp true"}
	clockAgrees     = lang.Text{ES: "va igual que el de %s", EN: "agrees with the clock of %s"}
	clockSays       = lang.Text{ES: "dice %s", EN: "says %s"}
	clockAlone      = lang.Text{ES: "dice %s; no hay otro con qué compararlo", EN: "says %s; there is no other clock to compare with"}

	// Of Redis.
	checkRedis      = lang.Text{ES: "fijate si Redis corre y si redis_url es el suyo", EN: "check that Redis runs, and that redis_url is right"}
	redisOK         = lang.Text{ES: "Redis %s en %s, %s usados", EN: "Redis %s at %s, %s used"}
	noReplica       = lang.Text{ES: "durability es replica y no hay ninguna: nada se acepta", EN: "durability is replica and there is no replica: nothing is accepted"}
	attachReplica   = lang.Text{ES: "conectá una réplica (replicaof), o poné durability: fsync", EN: "attach a replica (replicaof), or set durability: fsync"}
	waitsForReplica = lang.Text{ES: "cada 200 espera a una réplica (hay %d)", EN: "each 200 waits for a replica (of %d)"}
	relaxed         = lang.Text{ES: "durability es relaxed: si se corta la luz se puede perder lo último", EN: "durability is relaxed: a power loss may lose the newest messages"}
	setFsync        = lang.Text{ES: "poné durability: fsync", EN: "set durability: fsync"}
	onDisk          = lang.Text{ES: "está en disco antes de cada 200", EN: "data are on disk before each 200"}
	redisMemory     = lang.Text{ES: "usa %s de %s", EN: "uses %s of %s"}
	raiseMemory     = lang.Text{ES: "subí maxmemory: lleno, no acepta nada", EN: "raise maxmemory: when full, Redis accepts nothing"}

	// Of PostgreSQL.
	checkPostgres    = lang.Text{ES: "fijate si PostgreSQL corre, y si database_url es el suyo", EN: "check that PostgreSQL runs, and that database_url is right"}
	postgresOK       = lang.Text{ES: "PostgreSQL %d contesta", EN: "PostgreSQL %d answers"}
	noSchema         = lang.Text{ES: "el esquema psi_router todavía no está", EN: "the schema psi_router does not exist yet"}
	createSchema     = lang.Text{ES: "serve lo crea al arrancar; o antes: psi-router migrate", EN: "serve creates it at start-up; or before that: psi-router migrate"}
	oldSchema        = lang.Text{ES: "el esquema es el %d y este programa conoce el %d", EN: "the schema has version %d, this program version %d"}
	updateSchema     = lang.Text{ES: "serve lo actualiza al arrancar; o antes, con los routers parados: psi-router migrate", EN: "serve updates it at start-up; or before that, with every router stopped: psi-router migrate"}
	newSchema        = lang.Text{ES: "el esquema es el %d y este programa conoce hasta el %d", EN: "the schema has version %d, this program only knows %d"}
	updateProgram    = lang.Text{ES: "volvé a la versión nueva del programa", EN: "start the newer program again"}
	schemaOK         = lang.Text{ES: "el esquema está al día (%d)", EN: "the schema is up to date (%d)"}
	fsyncOff         = lang.Text{ES: "corre con fsync = off: un corte de luz arruina los datos", EN: "it runs with fsync = off: a power loss corrupts data"}
	pooled           = lang.Text{ES: "parece haber un pooler en el medio, y las migraciones también pasarían por él", EN: "there seems to be a pooler in between, and migrations would go through it too"}
	setDirect        = lang.Text{ES: "poné en database_direct_url la dirección del servidor mismo", EN: "set database_direct_url to the server's own address"}
	poolerOK         = lang.Text{ES: "hay un pooler, y sirve así", EN: "there is a pooler, and it works"}
	fixDirect        = lang.Text{ES: "corregila: las migraciones van por ahí", EN: "fix it: migrations go that way"}
	directOK         = lang.Text{ES: "database_direct_url contesta", EN: "database_direct_url answers"}
	manyConnections  = lang.Text{ES: "cada proceso puede abrir %d conexiones, y el servidor tiene %d", EN: "each process may open %d connections, and the server has %d"}
	raiseConnections = lang.Text{ES: "subí max_connections, bajá worker.concurrency, o poné un PgBouncer", EN: "raise max_connections, lower worker.concurrency, or put a PgBouncer in between"}

	// Of port and router.
	cannotListen   = lang.Text{ES: "%s no se puede usar: %s", EN: "%s cannot be used: %s"}
	changeListen   = lang.Text{ES: "mirá quién lo tiene (ss -ltnp), o cambiá listen", EN: "see which process has it (ss -ltnp), or change listen"}
	portFree       = lang.Text{ES: "%s está libre", EN: "%s is free"}
	routerSilent   = lang.Text{ES: "corre, y no contesta: %s", EN: "it runs but does not answer: %s"}
	restartRouter  = lang.Text{ES: "mirá su registro; si sigue así, reinicialo", EN: "look at its log; if it stays like this, restart it"}
	routerOK       = lang.Text{ES: "corre, y está listo", EN: "it runs and is ready"}
	routerNotReady = lang.Text{ES: "corre, y no está listo (%s)", EN: "it runs but is not ready (%s)"}

	// Of lines.
	sandboxLine     = lang.Text{ES: "%s es el teléfono de prueba de /sandbox", EN: "%s is the test phone of /sandbox"}
	lineOK          = lang.Text{ES: "%s es %s (%s), calidad %s", EN: "%s is %s (%s), quality %s"}
	otherAppSecret  = lang.Text{ES: "%s: ningún app_secret es el de la app de su token: sus webhooks se rechazarían, y WhatsApp no acepta su appsecret_proof (donde se puede, se omite)", EN: "%s: no app_secret belongs to its token's app: its webhooks would be refused, and WhatsApp rejects its appsecret_proof (left out where optional)"}
	copyAppSecret   = lang.Text{ES: "copialo de Meta: App › Configuración › Básica", EN: "copy it from Meta: App › Settings › Basic"}
	lineUnchecked   = lang.Text{ES: "%s no se pudo comprobar: %s", EN: "%s could not be checked: %s"}
	reachGraph      = lang.Text{ES: "mirá si esta máquina llega a %s", EN: "check that this machine reaches %s"}
	lineRefused     = lang.Text{ES: "%s: WhatsApp la rechaza: %s", EN: "%s: WhatsApp refuses it: %s"}
	checkNumber     = lang.Text{ES: "revisá phone_number_id y token en Meta (usuario del sistema, permisos whatsapp_business_messaging y _management)", EN: "check phone_number_id and token at Meta (system user, permissions whatsapp_business_messaging and _management)"}
	evolutionSilent = lang.Text{ES: "%s: el servidor de Evolution no contesta: %s", EN: "%s: the Evolution server does not answer: %s"}
	checkEvolution  = lang.Text{ES: "mirá si corre, y si url es la suya", EN: "check that it runs, and that url is right"}
	evolutionOK     = lang.Text{ES: "%s: el servidor de Evolution contesta", EN: "%s: the Evolution server answers"}

	// Of endpoints.
	fixURL          = lang.Text{ES: "corregí su url", EN: "fix its url"}
	internalAddress = lang.Text{ES: "%s: %s es una dirección interna (%s), y no se le manda nada", EN: "%s: %s is an internal address (%s), so nothing is posted to it"}
	allowAddress    = lang.Text{ES: "si es a propósito, agregale allow: [%q]", EN: "if that is intended, add allow: [%q] to it"}
	endpointSilent  = lang.Text{ES: "%s no contesta en %s: %s", EN: "%s does not answer at %s: %s"}
	checkEndpoint   = lang.Text{ES: "mirá si corre; lo que no se le pudo mandar espera", EN: "check that it runs; what could not be sent waits"}
	plainHTTP       = lang.Text{ES: "%s recibe por http, a la vista de cualquiera en el camino", EN: "%s gets its events by http, readable by anyone on the way"}
	useHTTPS        = lang.Text{ES: "usá https", EN: "use https"}
	endpointOK      = lang.Text{ES: "%s contesta en %s", EN: "%s answers at %s"}
)
