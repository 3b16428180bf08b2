# A directory on the hypervisor itself, to try things out: prepared as docs/members.md tells an operator; to be sourced. The quickstart and
# the tests of the appliance use it. Wants the files beside it in directory/, and goes on with what is there after a reboot.
# shellcheck shell=bash

answer_to_root() { # FOLDER
    local tries
    slapd -F "$1/config" -h ldapi:///
    for ((tries = 0; tries < 300; tries++)); do
        ! ldapwhoami -Q -Y EXTERNAL -H ldapi:/// >/dev/null 2>&1 || return 0
        sleep 0.1
    done
    return 1
}
start_directory() { # its base is dc=atlas,dc=example,dc=org; root manages it over ldapi:///
    local work=/root/directory file
    mkdir -p /run/slapd
    if [ -d $work ]; then # after a reboot
        answer_to_root $work
        return
    fi
    mkdir -p $work/config $work/data
    cat >$work/config.ldif <<LDIF
dn: cn=config
objectClass: olcGlobal
cn: config

dn: cn=module{0},cn=config
objectClass: olcModuleList
cn: module{0}
olcModulePath: /usr/lib/ldap
olcModuleLoad: back_mdb

dn: cn=schema,cn=config
objectClass: olcSchemaConfig
cn: schema

include: file:///etc/ldap/schema/core.ldif
include: file:///etc/ldap/schema/cosine.ldif
include: file:///etc/ldap/schema/nis.ldif
include: file:///etc/ldap/schema/inetorgperson.ldif

dn: olcDatabase={0}config,cn=config
objectClass: olcDatabaseConfig
olcDatabase: {0}config
olcAccess: to * by dn.exact=gidNumber=0+uidNumber=0,cn=peercred,cn=external,cn=auth manage by * none

dn: olcDatabase={1}mdb,cn=config
objectClass: olcDatabaseConfig
objectClass: olcMdbConfig
olcDatabase: {1}mdb
olcSuffix: dc=atlas,dc=example,dc=org
olcDbDirectory: $work/data
olcDbMaxSize: 67108864
LDIF
    slapadd -n 0 -F $work/config -l $work/config.ldif
    answer_to_root $work
    for file in modules ssh-keys safe; do ldapadd -Q -Y EXTERNAL -H ldapi:/// -f directory/$file.ldif; done
    ldapmodify -Q -Y EXTERNAL -H ldapi:/// -f directory/access.ldif
}
