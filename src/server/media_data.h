/** Data channels of one media worker: between the transports' engines and the room's hub. */
#pragma once

#include "server/media_worker_int.h"

struct data_hub *media_data_new(struct media_worker *worker);
/** What the transport's data channels did and, within the turn's share, what came over them. */
void media_data_serve(struct media_worker *worker, struct media_transport *transport);
/** Whether more may have come that the next turn of the loop is for. */
bool media_data_is_due(const struct media_transport *transport);
/** Another worker's word to our hub. */
void media_data_received(struct media_worker *worker, const struct data_message *message);
