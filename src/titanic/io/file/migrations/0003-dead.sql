-- Dead requests, the newest last: operators list, retry and purge them. (Deaths are rare.)
CREATE INDEX requests_dead ON requests (uuid, service) WHERE state = 3;
