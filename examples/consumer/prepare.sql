-- What the consumer needs beside the tables that are there already. It may run
-- again and again; it adds, and changes no row.

-- Every event as it came. The id makes a repeat harmless.
create table if not exists psi_eventos (
  id text primary key,
  conversacion text not null,
  seq bigint not null,
  pos bigint not null,
  evento jsonb not null,
  recibido_en timestamptz not null default now(),
  aplicado_en timestamptz,
  error text,
  reintento_en timestamptz
);
create index if not exists psi_eventos_pendientes on psi_eventos (pos) where aplicado_en is null;
create index if not exists psi_eventos_detenidos on psi_eventos (conversacion, pos) where aplicado_en is null and error is not null;

-- How far catchup.js has read.
create table if not exists psi_cursor (nombre text primary key, pos bigint not null);

-- psi_id is the router's id of the row, psi_pos the place of the event that wrote it last.
alter table contactos add column if not exists nombre text;
alter table conversaciones
  add column if not exists psi_id text unique, add column if not exists psi_pos bigint not null default 0,
  add column if not exists linea_origen text, add column if not exists nombre text, add column if not exists area text,
  add column if not exists estado text, add column if not exists router_estado text, add column if not exists subetiqueta text,
  add column if not exists ticket_id text, add column if not exists ventana_24h_fin timestamptz,
  add column if not exists ts_ultimo_mensaje timestamptz, add column if not exists mensajes_no_leidos int not null default 0;
alter table mensajes
  add column if not exists psi_id text unique, add column if not exists psi_pos bigint not null default 0,
  add column if not exists tipo text, add column if not exists direccion text, add column if not exists remitente_tipo text,
  add column if not exists whatsapp_context_id text, add column if not exists opcion_seleccionada text,
  add column if not exists media_type text, add column if not exists estado_envio text, add column if not exists error_mensaje text,
  add column if not exists eliminado boolean not null default false, add column if not exists editado boolean not null default false;
create table if not exists tickets (
  id uuid primary key default gen_random_uuid(), ticket_id text not null unique, conversacion_id uuid, telefono text,
  area text, area_origen text, area_destino text, estado text, subetiqueta text, motivo_derivacion text,
  ts_abierto timestamptz, ts_resuelto timestamptz
);
create table if not exists derivaciones (
  id uuid primary key default gen_random_uuid(), conversacion_id uuid, ticket_id text, telefono text,
  area_origen text, area_destino text, subetiqueta text, motivo text, derivado_por text, ts_derivacion timestamptz
);
alter table derivaciones add column if not exists psi_id text unique;

-- A person has one conversation on each line, so the phone alone is not unique.
alter table conversaciones drop constraint if exists conversaciones_telefono_key;
create index if not exists conversaciones_telefono on conversaciones (telefono);
