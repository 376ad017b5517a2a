-- The dead, the newest last: what operators look for, retry and purge. (Deaths are rare.)
CREATE INDEX requests_dead ON requests (uuid, service) WHERE state = 3;
