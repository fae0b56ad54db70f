"""Why a function ran: what differs from the nearest earlier evaluation."""
